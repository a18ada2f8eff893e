// The AssemblyScript compiler as a long-lived worker. A line {"source"} on stdin gives a line {"wasm"} (base64) or
// {"diagnostics"} on stdout. The compiler sees no file system: `readFile` knows the source, and the packages that are
// read once at the start. Its standard library is part of the compiler itself.

import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const SOURCE = "function.ts";
const OUTPUT = "function.wasm";
const LIBRARIES = ["json-as", "xjb-as"];
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

// The answers have stdout to themselves.
console.log = console.info = console.debug = () => {};

async function compile(source) {
  let wasm = null;
  const diagnostics = [];
  let crash = null;
  console.error = (...words) => diagnostics.push(words.join(" "));
  // When the compiler meets a bug of its own (or a stack that overflows) it prints a stack trace and exits.
  process.exit = () => { throw (crash = new Error("exit")); };
  const compiling = asc.main(
    [
      SOURCE, "--outFile", OUTPUT, "--path", "node_modules", "--transform", transform,
      "--exportRuntime", "--exportStart", "_initialize", "--debug", "-O3",
    ],
    {
      stdout: { write: () => {} },
      stderr: { write: (text) => diagnostics.push(String(text)) },
      readFile: (name) => (name === SOURCE ? source : files.get(posix.normalize(name)) ?? null),
      writeFile: (name, contents) => { if (name === OUTPUT) wasm = contents; },
      listFiles: () => [],
    },
  );
  const { error } = await compiling.catch((thrown) => {
    crash ??= thrown;
    return { error: thrown };
  });
  if (crash) {
    const reason = /\b(\w*Error: .*)/.exec([...diagnostics, String(crash)].join("\n"))?.[1] ?? String(crash);
    return { diagnostics: `the compiler crashed on this source: ${clean(reason)}`, last: true };
  }
  if (error) return { diagnostics: clean(diagnostics.join("")) || String(error.message ?? error) };
  return { wasm: Buffer.from(wasm).toString("base64") };
}

// A crash of the compiler prints its stack: the author needs neither it nor our paths.
function clean(text) {
  return text
    .split("\n")
    .filter((line) => !/^\s+at .*(file:|node:|\()/.test(line) && !/^FAILURE \d+ (parse|compile) error/.test(line))
    .join("\n")
    .replaceAll(modules, "~lib")
    .trim();
}

function answer(message) {
  return new Promise((written) => process.stdout.write(JSON.stringify(message) + "\n", written));
}

// The first compilation costs ten times a later one: pay before somebody waits. json-as is the larger part of it.
await compile(`import { JSON } from "json-as";
@json class Input { a: f64 = 0; b: string = ""; }
export function handle(input: string): string { return JSON.stringify(JSON.parse<Input>(input)); }`);
await answer({ ready: true });

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const message = await compile(JSON.parse(line).source);
  await answer(message);
  if (message.last) break; // what a crash left behind is not for the next source
}
