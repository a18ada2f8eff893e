// Imported first: node-inspect-extracted copies the functions of namespaces that QuickJS does not have.

export const placeholders = ["Atomics", "SharedArrayBuffer"].filter((name) => !(name in globalThis));

for (const name of placeholders) globalThis[name] = class {};

/** Removes the placeholders, when the packages have been evaluated. */
export function removePlaceholders() {
  for (const name of placeholders) delete globalThis[name];
}
