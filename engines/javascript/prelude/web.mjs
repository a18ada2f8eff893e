// Interfaces of the web platform that QuickJS does not have, from packages.

import "./encoding.mjs";
import { defineGlobals } from "./define.mjs";
import structuredClone from "@ungap/structured-clone";
import { URL, URLSearchParams } from "whatwg-url";

export function installWebApis(elapsed) {
  const performance = { now: () => elapsed(), timeOrigin: 0, toJSON: () => ({ timeOrigin: 0 }) };
  const process = { env: {}, argv: [], platform: "wasi", version: "", versions: {}, cwd: () => "/", nextTick: (callback, ...words) => queueMicrotask(() => callback(...words)) };
  const values = { URL, URLSearchParams, performance, process, structuredClone, self: globalThis, global: globalThis };
  if (typeof queueMicrotask !== "function") {
    values.queueMicrotask = (callback) => { Promise.resolve().then(callback); };
  }
  defineGlobals(values);
}
