// Interfaces of the web platform that QuickJS does not have, from packages.

import { defineGlobals } from "./define.mjs";
import { environment } from "./environment.mjs";
import { Blob, File } from "./blob.mjs";
import { FormData } from "./form_data.mjs";
import { Headers } from "./headers.mjs";
import { fetch } from "./outbound.mjs";
import { Request } from "./request.mjs";
import { Response } from "./response.mjs";
import { addFetchListener } from "./serve.mjs";
import structuredClone from "@ungap/structured-clone";
import { URL, URLSearchParams } from "./urls.mjs";

export function installWebApis(elapsed) {
  const performance = { now: () => elapsed(), timeOrigin: 0, toJSON: () => ({ timeOrigin: 0 }) };
  const process = { env: environment, argv: [], platform: "wasi", version: "", versions: {}, cwd: () => "/", nextTick: (callback, ...words) => queueMicrotask(() => callback(...words)) };
  const values = { URL, URLSearchParams, performance, process, structuredClone, self: globalThis, global: globalThis };
  Object.assign(values, { Blob, File, FormData, Headers, Request, Response, fetch });
  values.addEventListener = (type, callback) => { addFetchListener(type, callback); };
  if (typeof queueMicrotask !== "function") {
    values.queueMicrotask = (callback) => { Promise.resolve().then(callback); };
  }
  defineGlobals(values);
}
