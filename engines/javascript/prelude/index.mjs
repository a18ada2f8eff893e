// The prelude: what a function finds beside the language, and the dispatcher that shim.wat calls. It is evaluated when the
// engine is built, so every image and every call begins with it.

import { removePlaceholders } from "./before_packages.mjs";
import "./encoding.mjs";
import { adoptModule, adoptScript, installContracts } from "./adopt.mjs";
import { installBodies } from "./body.mjs";
import { installBytes } from "./bytes.mjs";
import { installConsole } from "./console.mjs";
import { configureEnvironment, installEnvironment } from "./environment.mjs";
import { describe, installStacks } from "./errors.mjs";
import { installEvents } from "./events.mjs";
import { Execution } from "./execution.mjs";
import { installOutbound } from "./outbound.mjs";
import { installRandomness } from "./randomness.mjs";
import { rejected, handledLater } from "./rejections.mjs";
import { installRequests } from "./request.mjs";
import { installServing } from "./serve.mjs";
import { installStreams } from "./streams.mjs";
import { installTimers } from "./timers.mjs";
import { installWebApis } from "./web.mjs";

/** Returns the dispatcher. The parameters are functions of the host, in the order of the letters that shim.wat knows. */
export default function setUp(
  log, random, elapsed, remaining, executionId, secrets, incoming, decode, encode, request, response, answer,
) {
  removePlaceholders();
  installStacks();
  installConsole(log);
  installRandomness(random);
  installTimers(elapsed);
  installBytes(decode, encode);
  installEnvironment(secrets);
  installEvents();
  installStreams();
  installBodies(incoming, random);
  installRequests(incoming);
  installOutbound(request, response);
  installServing(answer);
  installWebApis(elapsed);
  installContracts(remaining, executionId);
  const execution = new Execution();
  // The numbers of the operations are those of shim.wat. Each returns the answer as a string, the milliseconds to sleep
  // as an integer (-1: stop at once), true when the answer was written as a frame, or undefined when the job queue must
  // run first.
  const operations = [
    (script) => execution.load(() => adoptScript(script)),
    (evaluation, namespace) => execution.load(() => adoptModule(evaluation, namespace)),
    (input) => execution.call(input),
    () => execution.poll(),
    rejected,
    (error) => `!${describe(error)}`,
    handledLater,
    configureEnvironment,
    (size) => execution.serve(size),
  ];
  return (operation, first, second) => operations[operation](first, second);
}
