// Exceptions as text for the function's author: type, message, the author's own frames, and causes.

import { inspect } from "node-inspect-extracted";

const FRAMES_SHOWN = 10;
const CAUSES_SHOWN = 5;
const MESSAGE_LIMIT_CHARACTERS = 4096;
const UNLOADED_MODULE = /^could not load module '([^']*)'$/; // QuickJS's message for a dynamic import
const END_OF_SOURCE = /^unexpected token in expression: ''$/;
const AUTHOR_FRAME = /^\s*at .*\bfunction\.(?:js|ts):\d+:\d+\)?$/;

/** Never throws, also for objects that throw when they are looked at. */
export function describe(error) {
  try {
    return describeWithCauses(error, 0);
  } catch {
    return "an exception that cannot be shown";
  }
}

function describeWithCauses(error, depth) {
  if (!isError(error)) return `${cut(inspect(error))} was thrown, which is not an Error`;
  const lines = [cut(headline(error)), ...frames(error)];
  if (depth < CAUSES_SHOWN) {
    if (error.cause !== undefined) lines.push(`caused by: ${describeWithCauses(error.cause, depth + 1)}`);
    if (Array.isArray(error.errors)) {
      for (const inner of error.errors.slice(0, CAUSES_SHOWN)) lines.push(`one of its errors: ${describeWithCauses(inner, depth + 1)}`);
    }
  }
  return lines.join("\n");
}

function isError(value) {
  return Error.isError(value) || value instanceof Error; // a DOMException is the latter
}

/** Makes stacks begin with the type and the message, as libraries expect, and end with the author's frames. */
export function installStacks() {
  const { get, set } = Object.getOwnPropertyDescriptor(Error.prototype, "stack");
  Object.defineProperty(Error.prototype, "stack", {
    get() {
      const stack = get.call(this);
      return typeof stack === "string" && !stack.startsWith(this.name) ? [headline(this), ...ownFrames(stack)].join("\n") : stack;
    },
    set,
    configurable: true,
  });
}

function headline(error) {
  const name = String(error.name ?? "Error");
  const message = String(error.message ?? "").replace(UNLOADED_MODULE, explainImport).replace(END_OF_SOURCE, "unexpected end of the source");
  return message ? `${name}: ${message}` : name;
}

/** The author's frames of a stack. A recursion is shown once. */
export function frames(error) {
  return typeof error.stack === "string" ? ownFrames(error.stack) : [];
}

function ownFrames(stack) {
  const own = stack.split("\n").map((line) => line.trimEnd()).filter((line) => AUTHOR_FRAME.test(line));
  const shown = own.filter((line, number) => line !== own[number - 1]).slice(0, FRAMES_SHOWN);
  return shown.map((line) => `    ${line.trim()}`);
}

function explainImport(_, name) {
  return `cannot import '${name}': a function is one file. Bundle it: npx esbuild --bundle --format=esm`;
}

function cut(text) {
  return text.length > MESSAGE_LIMIT_CHARACTERS ? `${text.slice(0, MESSAGE_LIMIT_CHARACTERS)}…` : text;
}
