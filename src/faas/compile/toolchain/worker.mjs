// A long-lived worker process of the AssemblyScript compiler. Requests and answers are frames: a length of four bytes,
// then the content. A request is a source. An answer is a letter and its content: a module ("M"), diagnostics ("D"), or
// the reason of a compiler crash ("C"). The compiler has no access to the file system: `readFile` returns the source and
// the packages that are read once at start-up. The standard library is part of the compiler.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { formatDiagnosticMessage } from "assemblyscript";
import asc from "assemblyscript/asc";
import { explain } from "./author_errors.mjs";
import { Check, SOURCE_PATH } from "./check.mjs";
import { hint } from "./entry.mjs";
import { frames, send } from "./frames.mjs";
import { Transformer } from "./json_as.mjs";

const OUTPUT = "function.wasm";
const LIBRARIES = ["json-as", "xjb-as"];
// A diagnostic quotes the whole source line, and a hostile source is one long line.
const DIAGNOSTIC_LINE_LIMIT_CHARACTERS = 400;
const DIAGNOSTICS_LIMIT_CHARACTERS = 64 << 10;
const WARM_UP_RUNS = 8; // compilations
const WARM_UP_PAUSE_MS = 200;
const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");

const files = new Map();
for (const library of LIBRARIES) {
  for (const file of readdirSync(join(modules, library), { recursive: true })) {
    if (file.endsWith(".ts") || file === "package.json") {
      files.set(posix.join("node_modules", library, file), readFileSync(join(modules, library, file), "utf8"));
    }
  }
}

// json-as reads its mode from the environment. Its faster modes split surrogate pairs and misread -1 as a u64.
process.env.JSON_MODE = "NAIVE";

// Stdout is reserved for answers.
console.log = console.info = console.debug = () => {};

async function compile(source) {
  const check = new Check();
  const built = await build(source, [check, Transformer]);
  if (built.wasm && !built.error) return ["M", built.wasm];
  // A crash of the compiler itself, such as a stack overflow, has no diagnostics. A crash of json-as's transform may.
  const crashed = built.crash && check.program;
  if (check.parser && !crashed) {
    const found = await explain(check, built.crash ?? built.error, (transforms) => build(source, transforms));
    const { note, text, full } = collector();
    for (const diagnostic of found) {
      if (full()) break; // each one scans its line, which may be a megabyte
      note(formatDiagnosticMessage(diagnostic, false, true) + "\n");
    }
    if (found.length) return ["D", clean(text())];
  }
  if (built.crash) {
    const reason = /\b(\w*Error: .*)/.exec(`${built.printed}\n${built.crash}`)?.[1] ?? String(built.crash);
    return ["C", clean(reason)];
  }
  const printed = clean(built.printed) || String(built.error?.message ?? built.error);
  return ["D", [printed, check.parser ? "" : hint(source)].filter(Boolean).join("\n\n")];
}

// Collects lines, cut to the limits.
function collector() {
  let size = 0;
  const lines = [];
  const note = (text) => {
    if (size >= DIAGNOSTICS_LIMIT_CHARACTERS) return;
    for (const line of String(text).split("\n")) {
      const shown = (line.length > DIAGNOSTIC_LINE_LIMIT_CHARACTERS ? line.slice(0, DIAGNOSTIC_LINE_LIMIT_CHARACTERS) + "…" : line) + "\n";
      size += shown.length;
      if (size < DIAGNOSTICS_LIMIT_CHARACTERS) lines.push(shown);
    }
  };
  return { note, text: () => lines.join(""), full: () => size >= DIAGNOSTICS_LIMIT_CHARACTERS };
}

async function build(source, transforms) {
  let wasm = null;
  let crash = null;
  const { note, text } = collector();
  console.error = (...words) => note(words.join(" "));
  // On an internal error or a stack overflow the compiler prints a stack trace and exits.
  process.exit = () => { throw (crash = new Error("exit")); };
  const compiling = asc.main(
    [
      SOURCE_PATH, "--outFile", OUTPUT, "--path", "node_modules",
      "--exportRuntime", "--exportStart", "_initialize", "--debug", "-O3",
      // json-as reserves a megabyte for a cache that is off: each call would copy, fill and release 16 pages.
      "--use", "JSON_CACHE_SIZE=0",
    ],
    {
      stdout: { write: () => {} },
      stderr: { write: note },
      readFile: (name) => (name === SOURCE_PATH ? source : files.get(posix.normalize(name)) ?? null),
      writeFile: (name, contents) => { if (name === OUTPUT) wasm = contents; },
      listFiles: () => [],
      transforms,
    },
  );
  const { error } = await compiling.catch((thrown) => {
    crash ??= thrown;
    return { error: thrown };
  });
  // An error in the source is a plain Error; a RangeError or TypeError is a bug of the compiler.
  if (error && error.constructor !== Error) crash ??= error;
  return { wasm, error, crash, printed: text() };
}

// Removes stack frames of the compiler and paths of this machine from diagnostics.
function clean(text) {
  return text
    .split("\n")
    .filter((line) => !/^\s+at .*(file:|node:|\()/.test(line) && !/^FAILURE \d+ (parse|compile) error/.test(line))
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .replaceAll(modules, "~lib")
    .trim();
}

// Warm-up, first part, before the worker reports itself ready: the first compilation takes ten times as long as a later
// one, mostly because of json-as.
await compile(`import { JSON } from "json-as";
@json class Input { a: f64 = 0; b: string = ""; }
export function handle(input: string): string { return JSON.stringify(JSON.parse<Input>(input)); }`);
await send();

// Warm-up, second part, while idle: the next compilations are about 25 % slower than later ones, until V8's JIT has
// optimized the compiler's optimizer.
let warmUpRunsLeft = WARM_UP_RUNS;
let warmUpTimer = null;
let lastCompilation = Promise.resolve();

function runAfterLast(work) {
  return (lastCompilation = lastCompilation.then(work));
}

function scheduleWarmUp() {
  clearTimeout(warmUpTimer);
  if (warmUpRunsLeft > 0) warmUpTimer = setTimeout(() => runAfterLast(warmUp), WARM_UP_PAUSE_MS).unref();
}

async function warmUp() {
  warmUpRunsLeft -= 1;
  await compile("export function handle(input: string): string { return input + input; }");
  scheduleWarmUp();
}

scheduleWarmUp();
for await (const source of frames(process.stdin)) {
  clearTimeout(warmUpTimer);
  await send(...(await runAfterLast(() => compile(source.toString("utf8")))));
  scheduleWarmUp();
}
