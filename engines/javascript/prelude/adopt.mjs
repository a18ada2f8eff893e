// Contracts: which of a module's exports is called, and how.

import { formatUuid } from "./randomness.mjs";
import { serveWith, serveWithListener, write } from "./serve.mjs";

const ACCEPTED = "export function handle(input), a default function, export default { fetch(request, env, ctx) }, or handler(event, context)";

let remaining = null;
let fillExecutionId = null;

/** The host's functions: how many milliseconds of the time limit are left, and one that fills in the execution's id. */
export function installContracts(hostRemaining, hostExecutionId) {
  remaining = hostRemaining;
  fillExecutionId = hostExecutionId;
}

/** Waits for the evaluation of a module and adopts its exports. */
export async function adoptModule(evaluation, namespace) {
  await evaluation;
  return adopt({ ...namespace });
}

/** Evaluates a CommonJS module: `script` is the function around the author's source. */
export function adoptScript(script) {
  const module = { exports: {} };
  script.call(module.exports, module.exports, require, module, "function.js", ".");
  const { exports } = module;
  // An object with fetch is what a module would have as its default export.
  const isDefault = typeof exports === "function" || (typeof exports.fetch === "function" && !("default" in exports));
  return adopt(isDefault ? { ...exports, default: exports } : { ...exports });
}

function require(name) {
  throw new Error(`cannot find module '${name}': a function is one file. Bundle it: npx esbuild --bundle --format=esm`);
}

function adopt(exported) {
  // A bundle of CommonJS has its exports in the default export.
  const main = exported.default;
  const isBundle = main !== null && typeof main === "object" && typeof main.fetch !== "function";
  if (isBundle && !("handle" in exported || "handler" in exported)) {
    exported = { ...main, default: main.default ?? main };
  }
  const found = [];
  if ("handle" in exported) found.push("handle");
  if ("handler" in exported) found.push("handler");
  if (typeof exported.default?.fetch === "function") found.push("default.fetch");
  else if (typeof exported.default === "function" && exported.default !== exported.handle && exported.default !== exported.handler) found.push("default");
  if (found.length > 1) throw new TypeError(`the module exports ${list(found)}; export one of them`);
  if (found[0] === "default.fetch") return { contract: "fetch", run: serveWith(exported.default), write };
  if (!found.length) {
    const run = serveWithListener();
    if (run) return { contract: "fetch", run, write };
    const names = Object.keys(exported).filter((name) => exported[name] !== undefined);
    const shown = names.length ? `it exports ${list(names.slice(0, 10))}` : "it exports nothing";
    throw new TypeError(`the module has no function to call: ${shown}; needed is ${ACCEPTED}`);
  }
  const [name] = found;
  const target = exported[name];
  refuseUncallable(name, target);
  return name === "handler" ? { contract: "lambda", run: lambda(target) } : { contract: "json", run: (input) => target(input) };
}

function refuseUncallable(name, target) {
  if (typeof target !== "function") {
    throw new TypeError(`the export ${name} is ${target === null ? "null" : `of type ${typeof target}`}; needed is a function`);
  }
  const text = Function.prototype.toString.call(target);
  if (/^class\b/.test(text)) throw new TypeError(`the export ${name} is a class; needed is a function`);
  if (/GeneratorFunction$/.test(target.constructor?.name)) {
    throw new TypeError(`the export ${name} is a generator function; needed is a function that returns its result`);
  }
}

function list(names) {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

/** A handler of AWS Lambda: with a context, and a callback where it takes one. */
function lambda(handler) {
  if (handler.length < 3) return (event) => handler(event, lambdaContext());
  return (event) => new Promise((resolve, reject) => {
    const callback = (error, result) => (error === undefined || error === null ? resolve(result) : reject(error));
    const returned = handler(event, lambdaContext(), callback);
    if (typeof returned?.then === "function") returned.then(resolve, reject);
  });
}

function executionId() {
  const bytes = new Uint8Array(16);
  fillExecutionId(bytes);
  return formatUuid(bytes);
}

function lambdaContext() {
  return {
    awsRequestId: executionId(),
    functionVersion: "$LATEST",
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(remaining())),
  };
}
