// setTimeout and setInterval. shim.wat sleeps until the next timer is due, within the time limit of the execution.

import { defineGlobals } from "./define.mjs";
import { refuseAtTopLevel } from "./phase.mjs";

const MAX_DELAY_MS = 2 ** 31 - 1;
const REASON = "it would fire while the image of the function is taken";

let elapsed = null;
let lastId = 0;
const timers = new Map(); // id → { due, order, callback, words, interval }

export function installTimers(hostElapsed) {
  elapsed = hostElapsed;
  const add = (name, callback, delay, words, repeats) => {
    refuseAtTopLevel(name, REASON);
    if (typeof callback !== "function") throw new TypeError(`${name} needs a function`);
    let wait = Number(delay) || 0;
    if (!(wait >= 1 && wait <= MAX_DELAY_MS)) wait = repeats ? 1 : 0;
    const id = ++lastId;
    timers.set(id, { due: elapsed() + wait, callback, words, interval: repeats ? wait : null });
    return id;
  };
  const clear = (id) => { timers.delete(Number(id)); };
  defineGlobals({
    setTimeout(callback, delay, ...words) { return add("setTimeout", callback, delay, words, false); },
    setInterval(callback, delay, ...words) { return add("setInterval", callback, delay, words, true); },
    setImmediate(callback, ...words) { return add("setImmediate", callback, 0, words, false); },
    clearTimeout(id) { clear(id); },
    clearInterval(id) { clear(id); },
    clearImmediate(id) { clear(id); },
  });
}

/**
 * Runs the timer that is due first. Returns the milliseconds until the next one is due as an integer, undefined when a
 * timer ran, and null when there are none.
 */
export function runTimers() {
  let first = null;
  for (const [id, timer] of timers) {
    if (first === null || timer.due < first[1].due) first = [id, timer];
  }
  if (first === null) return null;
  const [id, timer] = first;
  const wait = timer.due - elapsed();
  if (wait > 0) return Math.ceil(wait);
  if (timer.interval === null) timers.delete(id);
  else timer.due += timer.interval;
  timer.callback(...timer.words);
  return undefined;
}
