// The environment of a function: its variables, and its secrets, which only a call may read.

import { isInCall } from "./phase.mjs";

/** What `process.env` is, and the second argument of fetch(request, env, ctx). */
export const environment = {};

let hostSecrets = null;
let secrets = null; // of this call: name → value, asked for once

export function installEnvironment(askHost) {
  hostSecrets = askHost;
}

/** Adds the variables and the names of secrets, before the source is evaluated. */
export function configureEnvironment({ env = {}, secrets: names = [] }) {
  for (const [name, value] of Object.entries(env)) define(name, value);
  for (const name of names) {
    Object.defineProperty(environment, name, {
      get() { return read(name); },
      set(value) { define(name, value); },
      enumerable: true,
      configurable: true,
    });
  }
}

function define(name, value) {
  Object.defineProperty(environment, name, { value, writable: true, enumerable: true, configurable: true });
}

function read(name) {
  if (!isInCall()) throw new Error(`the secret ${name} is read at top level, where an image is taken: read it in the handler`);
  secrets ??= hostSecrets() ?? {};
  return Object.getOwnPropertyDescriptor(secrets, name)?.value;
}
