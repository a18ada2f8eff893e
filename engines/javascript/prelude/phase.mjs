// Whether the author's code runs in a call, or at top level while the image is taken. What a call may use and an image may
// not keep asks here.

let calling = false;

export function inCall() {
  calling = true;
}

export function isInCall() {
  return calling;
}

/** Throws in top-level code: its result would be the same in every call. */
export function refuseAtTopLevel(name, reason) {
  if (!calling) {
    throw new Error(`${name} cannot be used at top level: ${reason}. Use it in the function that is called`);
  }
}
