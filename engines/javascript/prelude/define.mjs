/** Defines properties of the global object as the language defines its own: writable, configurable, not enumerable. */
export function defineGlobals(values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    // The bundler renames classes that have the name of a global.
    if (typeof value === "function") Object.defineProperty(value, "name", { value: name, configurable: true });
  }
}
