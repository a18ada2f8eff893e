// One run of the author's code: the evaluation of a source when the image is taken, or one call afterwards.

import { describe } from "./errors.mjs";
import { runRequests } from "./outbound.mjs";
import { inCall } from "./phase.mjs";
import { logUnhandledRejections } from "./rejections.mjs";
import { isAnswered } from "./serve.mjs";
import { runTimers } from "./timers.mjs";

const NEVER_SETTLES = {
  load: "the module awaits a promise at top level that never settles",
  call: "the function awaits a promise that never settles: no timer or request is pending that could settle it",
};
const UNTIL_WOKEN_MS = 0x7fffffff; // an integer, which shim.wat asks for; the host's time limit is shorter

export class Execution {
  #run = null; // the adopted function: takes the input, returns its result or a promise
  #write = null; // of the contract fetch: writes the answer and returns true, or a promise of it
  #answer = undefined;
  #kind = "load";

  /** Evaluates a source with `adopt`, which returns the contract and the function. */
  load(adopt) {
    return this.#begin(adopt, ({ contract, run, write = null }) => {
      this.#run = run;
      this.#write = write;
      return JSON.stringify({ contract });
    });
  }

  call(input) {
    this.#kind = "call";
    inCall();
    return this.#begin(() => this.#run(input), toJson);
  }

  /** Calls a function of the contract fetch with a request whose body has `size` bytes. */
  serve(size) {
    this.#kind = "call";
    inCall();
    return this.#begin(() => this.#run(size), this.#write);
  }

  /** Runs the timers that are due. Called when the job queue is empty and there is no answer yet. */
  poll() {
    if (this.#answer === undefined) {
      let wait;
      try {
        wait = this.#wait();
      } catch (error) {
        return this.#finish(`!${describe(error)}`);
      }
      if (wait !== null) return wait;
      this.#answer = this.#unsettled();
    }
    return this.#finish(this.#answer);
  }

  /** Returns the milliseconds to sleep, -1 to stop, undefined when something was done, and null when nothing is left. */
  #wait() {
    const requests = runRequests();
    if (requests === undefined || requests === -1) return requests;
    const wait = runTimers();
    return wait === null && requests ? UNTIL_WOKEN_MS : wait;
  }

  #unsettled() {
    if (!isAnswered()) return `!${NEVER_SETTLES[this.#kind]}`;
    console.error("A promise of waitUntil never settles: no timer or request is pending that could settle it");
    return true;
  }

  #begin(start, write) {
    this.#answer = undefined;
    let result;
    try {
      result = start();
      if (typeof result?.then !== "function") {
        result = write(result);
        if (typeof result?.then !== "function") return this.#finish(result);
        write = (answer) => answer;
      }
    } catch (error) {
      return this.#finish(`!${describe(error)}`);
    }
    Promise.resolve(result).then(write).then(
      (answer) => { this.#answer = answer; },
      (error) => { this.#answer = `!${describe(error)}`; },
    );
    return undefined;
  }

  #finish(answer) {
    this.#answer = undefined;
    logUnhandledRejections();
    return answer;
  }
}

function toJson(value) {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw error instanceof TypeError && !describe(error).includes("\n") ? new TypeError(explain(error)) : error;
  }
}

/** A stringify error of the engine itself, which has no frame of the author's. */
function explain({ message }) {
  if (/circular/i.test(message)) return "the function returned an object that contains itself, which JSON cannot express";
  if (/bigint/i.test(message)) return "the function returned a BigInt, which JSON cannot express: convert it with Number(…) or String(…)";
  return `the function's result cannot be written as JSON: ${message}`;
}
