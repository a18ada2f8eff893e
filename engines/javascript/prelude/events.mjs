// Event, EventTarget, AbortController and AbortSignal, as far as libraries use them: there is no tree of targets.

import { defineGlobals } from "./define.mjs";
import { describe } from "./errors.mjs";

class Event {
  #init;
  #prevented = false;
  #stopped = false;
  constructor(type, { bubbles = false, cancelable = false, composed = false } = {}) {
    this.#init = { type: String(type), bubbles: Boolean(bubbles), cancelable: Boolean(cancelable), composed: Boolean(composed), target: null };
  }
  static start(event, target) { event.#init.target = target; }
  static isStopped(event) { return event.#stopped; }
  get type() { return this.#init.type; }
  get target() { return this.#init.target; }
  get currentTarget() { return this.#init.target; }
  get bubbles() { return this.#init.bubbles; }
  get cancelable() { return this.#init.cancelable; }
  get composed() { return this.#init.composed; }
  get defaultPrevented() { return this.#prevented; }
  get eventPhase() { return 0; }
  get isTrusted() { return false; }
  get timeStamp() { return 0; }
  composedPath() { return this.target ? [this.target] : []; }
  preventDefault() { this.#prevented ||= this.#init.cancelable; }
  stopPropagation() {}
  stopImmediatePropagation() { this.#stopped = true; }
}
const { start, isStopped } = Event;
delete Event.start;
delete Event.isStopped;

class CustomEvent extends Event {
  #detail;
  constructor(type, init = {}) {
    super(type, init);
    this.#detail = init.detail ?? null;
  }
  get detail() { return this.#detail; }
}

class EventTarget {
  #listeners = [];
  addEventListener(type, listener, options) {
    if (listener === null || listener === undefined) return;
    const { once = false, signal } = typeof options === "object" && options !== null ? options : {};
    if (signal?.aborted || this.#find(type, listener) >= 0) return;
    this.#listeners.push({ type: String(type), listener, once });
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener));
  }
  removeEventListener(type, listener) {
    const found = this.#find(type, listener);
    if (found >= 0) this.#listeners.splice(found, 1);
  }
  dispatchEvent(event) {
    start(event, this);
    for (const entry of this.#listeners.filter(({ type }) => type === event.type)) {
      if (!this.#listeners.includes(entry)) continue;
      if (entry.once) this.removeEventListener(entry.type, entry.listener);
      try {
        if (typeof entry.listener === "function") entry.listener.call(this, event);
        else entry.listener.handleEvent(event);
      } catch (error) {
        console.error(`Exception in a listener of ${event.type}: ${describe(error)}`);
      }
      if (isStopped(event)) break;
    }
    return !event.defaultPrevented;
  }
  #find(type, listener) {
    return this.#listeners.findIndex((entry) => entry.type === String(type) && entry.listener === listener);
  }
}

const OWN = Symbol("own");

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #dependents = [];
  onabort = null;
  constructor(own) {
    super();
    if (own !== OWN) throw new TypeError("Illegal constructor");
  }
  static abort(reason) {
    const signal = new AbortSignal(OWN);
    abort(signal, reason);
    return signal;
  }
  static timeout(milliseconds) {
    const signal = new AbortSignal(OWN);
    setTimeout(() => abort(signal, new DOMException("The operation was aborted due to timeout", "TimeoutError")), milliseconds);
    return signal;
  }
  static any(signals) {
    const result = new AbortSignal(OWN);
    for (const signal of signals) {
      if (signal.aborted) abort(result, signal.reason);
      signal.#dependents.push(result);
    }
    return result;
  }
  static trigger(signal, reason) {
    if (signal.#aborted) return;
    signal.#aborted = true;
    signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    const event = new Event("abort");
    try {
      signal.onabort?.(event);
    } catch (error) {
      console.error(`Exception in onabort: ${describe(error)}`);
    }
    signal.dispatchEvent(event);
    for (const dependent of signal.#dependents) abort(dependent, signal.#reason);
  }
  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
}
const abort = AbortSignal.trigger;
delete AbortSignal.trigger;

class AbortController {
  #signal = new AbortSignal(OWN);
  get signal() { return this.#signal; }
  abort(reason) { abort(this.#signal, reason); }
}

export { AbortController, AbortSignal, Event };

export function installEvents() {
  defineGlobals({ Event, CustomEvent, EventTarget, AbortSignal, AbortController });
}
