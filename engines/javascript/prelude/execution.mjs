// One run of the author's code: the evaluation of a source when the image is taken, or one call afterwards.

import { describe } from "./errors.mjs";
import { inCall } from "./phase.mjs";
import { logUnhandledRejections } from "./rejections.mjs";
import { runTimers } from "./timers.mjs";

const NEVER_SETTLES = {
  load: "the module awaits a promise at top level that never settles",
  call: "the function awaits a promise that never settles: no timer is pending that could settle it",
};

export class Execution {
  #run = null; // the adopted function: takes the input, returns its result or a promise
  #answer = undefined;
  #kind = "load";

  /** Evaluates a source with `adopt`, which returns the contract and the function. */
  load(adopt) {
    return this.#begin(adopt, ({ contract, run }) => {
      this.#run = run;
      return JSON.stringify({ contract });
    });
  }

  call(input) {
    this.#kind = "call";
    inCall();
    return this.#begin(() => this.#run(input), toJson);
  }

  /** Runs the timers that are due. Called when the job queue is empty and there is no answer yet. */
  poll() {
    if (this.#answer === undefined) {
      let wait;
      try {
        wait = runTimers();
      } catch (error) {
        return this.#finish(`!${describe(error)}`);
      }
      if (wait !== null) return wait;
      this.#answer = `!${NEVER_SETTLES[this.#kind]}`;
    }
    return this.#finish(this.#answer);
  }

  #begin(start, write) {
    this.#answer = undefined;
    let result;
    try {
      result = start();
      if (typeof result?.then !== "function") return this.#finish(write(result));
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
