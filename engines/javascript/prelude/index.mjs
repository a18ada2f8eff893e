// The prelude: what a function finds beside the language, and the dispatcher that shim.wat calls. It is evaluated when the
// engine is built, so every image and every call begins with it.

import { removePlaceholders } from "./before_packages.mjs";
import { adoptModule, adoptScript, installContracts } from "./adopt.mjs";
import { installConsole } from "./console.mjs";
import { describe, installStacks } from "./errors.mjs";
import { Execution } from "./execution.mjs";
import { installRandomness } from "./randomness.mjs";
import { rejected, handledLater } from "./rejections.mjs";
import { installTimers } from "./timers.mjs";
import { installWebApis } from "./web.mjs";

/** Returns the dispatcher. The parameters are functions of the host, in the order of the letters that shim.wat knows. */
export default function setUp(log, random, elapsed, remaining, executionId) {
  removePlaceholders();
  installStacks();
  installConsole(log);
  installRandomness(random);
  installTimers(elapsed);
  installWebApis(elapsed);
  installContracts(remaining, executionId);
  const execution = new Execution();
  // The numbers of the operations are those of shim.wat. Each returns the answer as a string, the milliseconds to sleep
  // as an integer, or undefined when the job queue must run first.
  const operations = [
    (script) => execution.load(() => adoptScript(script)),
    (evaluation, namespace) => execution.load(() => adoptModule(evaluation, namespace)),
    (input) => execution.call(input),
    () => execution.poll(),
    rejected,
    (error) => `!${describe(error)}`,
    handledLater,
  ];
  return (operation, first, second) => operations[operation](first, second);
}
