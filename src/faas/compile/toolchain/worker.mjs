// The AssemblyScript compiler as a long-lived worker. Frames (four bytes of length, then so many bytes) in and out: a
// source in; out a module ("M"), diagnostics ("D"), or why the compiler crashed ("C"), behind a letter that says which.
// The compiler sees no file system: `readFile` knows the source, and the packages that are read once at the start.
// Its standard library is part of the compiler itself.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const SOURCE = "function.ts";
const OUTPUT = "function.wasm";
const LIBRARIES = ["json-as", "xjb-as"];
const LINE_LIMIT = 400; // a diagnostic quotes its whole line, and a hostile source is one long line
const DIAGNOSTICS_LIMIT = 64 << 10;
const PRACTICE = 8; // compilations
const IDLE_MS = 200;
const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const transform = join(modules, "json-as", "transform", "lib", "index.js");

const files = new Map();
for (const library of LIBRARIES) {
  for (const file of readdirSync(join(modules, library), { recursive: true })) {
    if (file.endsWith(".ts") || file === "package.json") {
      files.set(posix.join("node_modules", library, file), readFileSync(join(modules, library, file), "utf8"));
    }
  }
}

// json-as reads its mode from here. The quicker ones tear surrogate pairs apart, and read -1 as a u64 wrong.
process.env.JSON_MODE = "NAIVE";

// The answers have stdout to themselves.
console.log = console.info = console.debug = () => {};

async function compile(source) {
  let wasm = null;
  let crash = null;
  let size = 0;
  const diagnostics = [];
  const note = (text) => {
    for (const line of String(text).split("\n")) {
      const shown = (line.length > LINE_LIMIT ? line.slice(0, LINE_LIMIT) + "…" : line) + "\n";
      size += shown.length;
      if (size < DIAGNOSTICS_LIMIT) diagnostics.push(shown);
    }
  };
  console.error = (...words) => note(words.join(" "));
  // When the compiler meets a bug of its own (or a stack that overflows) it prints a stack trace and exits.
  process.exit = () => { throw (crash = new Error("exit")); };
  const compiling = asc.main(
    [
      SOURCE, "--outFile", OUTPUT, "--path", "node_modules", "--transform", transform,
      "--exportRuntime", "--exportStart", "_initialize", "--debug", "-O3",
      // json-as sets a megabyte aside for a cache that is off: 16 pages for each call to copy, fill and give back.
      "--use", "JSON_CACHE_SIZE=0",
    ],
    {
      stdout: { write: () => {} },
      stderr: { write: note },
      readFile: (name) => (name === SOURCE ? source : files.get(posix.normalize(name)) ?? null),
      writeFile: (name, contents) => { if (name === OUTPUT) wasm = contents; },
      listFiles: () => [],
    },
  );
  const { error } = await compiling.catch((thrown) => {
    crash ??= thrown;
    return { error: thrown };
  });
  // Errors in the source are plain ones; a RangeError or TypeError is the compiler's.
  if (error && error.constructor !== Error) crash ??= error;
  if (crash) {
    const reason = /\b(\w*Error: .*)/.exec([...diagnostics, String(crash)].join("\n"))?.[1] ?? String(crash);
    return ["C", clean(reason)];
  }
  if (error) return ["D", clean(diagnostics.join("")) || String(error.message ?? error)];
  return ["M", wasm];
}

// The author needs neither stack frames of the compiler nor our paths.
function clean(text) {
  return text
    .split("\n")
    .filter((line) => !/^\s+at .*(file:|node:|\()/.test(line) && !/^FAILURE \d+ (parse|compile) error/.test(line))
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .replaceAll(modules, "~lib")
    .trim();
}

function send(...parts) {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return new Promise((written) => process.stdout.write(Buffer.concat([length, content]), written));
}

async function* frames(stream) {
  let waiting = Buffer.alloc(0);
  for await (const chunk of stream) {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
      const end = 4 + waiting.readUInt32BE(0);
      yield waiting.subarray(4, end);
      waiting = waiting.subarray(end);
    }
  }
}

// The first compilation costs ten times a later one: pay before somebody waits. json-as is the larger part of it.
await compile(`import { JSON } from "json-as";
@json class Input { a: f64 = 0; b: string = ""; }
export function handle(input: string): string { return JSON.stringify(JSON.parse<Input>(input)); }`);
await send();

// The next few are a quarter slower than later ones, until V8 has optimised the optimiser: practise while nothing is asked.
let left = PRACTICE;
let pause = null;
let turn = Promise.resolve();

function inTurn(work) {
  return (turn = turn.then(work));
}

function rest() {
  clearTimeout(pause);
  if (left > 0) pause = setTimeout(() => inTurn(practise), IDLE_MS).unref();
}

async function practise() {
  left -= 1;
  await compile("export function handle(input: string): string { return input + input; }");
  rest();
}

rest();
for await (const source of frames(process.stdin)) {
  clearTimeout(pause);
  await send(...(await inTurn(() => compile(source.toString("utf8")))));
  rest();
}
