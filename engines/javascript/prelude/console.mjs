// console: lines for the log of the execution, formatted as in Node.

import { format, inspect } from "node-inspect-extracted";
import { defineGlobals } from "./define.mjs";
import { frames } from "./errors.mjs";

const LEVELS = ["log", "debug", "info", "warn", "error", "trace"]; // their numbers are known to the host
const INDENT = "  ";

export function installConsole(log) {
  let indent = "";
  const counts = new Map();
  const times = new Map();
  const write = (level, words) => {
    let text;
    try {
      text = format(...words);
    } catch {
      text = "[a value that cannot be shown]";
    }
    log(LEVELS.indexOf(level), indent ? indent + text.replaceAll("\n", `\n${indent}`) : text);
  };
  const console = {};
  for (const level of LEVELS) console[level] = { [level](...words) { write(level, words); } }[level];
  console.trace = function trace(...words) {
    const own = frames(new Error());
    write("trace", [[format(...words), ...own].join("\n").trimStart()]);
  };
  console.assert = function assert(condition, ...words) {
    if (condition) return;
    const [first, ...rest] = words;
    if (!words.length) write("error", ["Assertion failed"]);
    else if (typeof first === "string") write("error", [`Assertion failed: ${first}`, ...rest]); // it may be a format
    else write("error", ["Assertion failed:", ...words]);
  };
  console.dir = function dir(value, options) { write("log", [inspect(value, options)]); };
  console.table = function table(value) { write("log", [value]); };
  console.group = console.groupCollapsed = function group(...words) {
    if (words.length) write("log", words);
    indent += INDENT;
  };
  console.groupEnd = function groupEnd() { indent = indent.slice(INDENT.length); };
  console.count = function count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    write("log", [`${label}: ${counts.get(label)}`]);
  };
  console.countReset = function countReset(label = "default") { counts.delete(label); };
  console.time = function time(label = "default") { times.set(label, performance.now()); };
  console.timeLog = function timeLog(label = "default", ...words) {
    if (times.has(label)) write("log", [`${label}: ${(performance.now() - times.get(label)).toFixed(3)} ms`, ...words]);
  };
  console.timeEnd = function timeEnd(label = "default") {
    console.timeLog(label);
    times.delete(label);
  };
  defineGlobals({ console });
}
