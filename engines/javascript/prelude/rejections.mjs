// Promises that were rejected and have no handler: logged at the end of the execution, as they hide errors.

import { describe } from "./errors.mjs";

const pending = new Map();

/** Called by QuickJS when a promise is rejected that has no handler yet. */
export function rejected(promise, reason) {
  pending.set(promise, reason);
}

/** Called by QuickJS when such a promise gets a handler. */
export function handledLater(promise) {
  pending.delete(promise);
}

export function logUnhandledRejections() {
  if (!pending.size) return;
  for (const reason of pending.values()) console.error(`Unhandled rejection: ${describe(reason)}`);
  pending.clear();
}
