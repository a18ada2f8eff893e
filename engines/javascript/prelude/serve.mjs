// The contract fetch: a request in, a Response out, and promises that the run waits for.

import { inspect } from "node-inspect-extracted";
import { takeBody } from "./body.mjs";
import { environment } from "./environment.mjs";
import { describe } from "./errors.mjs";
import { Event } from "./events.mjs";
import { incomingRequest } from "./request.mjs";
import { headOfResponse, isResponse } from "./response.mjs";

let promises = null; // of waitUntil
let writeAnswer = null;
let listener = null; // of addEventListener("fetch", …)
let isWritten = false;

export function installServing(hostAnswer) {
  writeAnswer = hostAnswer;
}

/** Whether there is an answer already, and the run only waits for promises of waitUntil. */
export function isAnswered() {
  return isWritten;
}

function wait(promise) {
  promises ??= [];
  promises.push(Promise.resolve(promise).catch((error) => {
    console.error(`A promise of waitUntil was rejected: ${describe(error)}`);
  }));
}

class ExecutionContext {
  waitUntil(promise) { wait(promise); }
  passThroughOnException() {}
}
const context = new ExecutionContext(); // an instance of the engine serves one request

class FetchEvent extends Event {
  #request;
  #response = undefined;
  constructor(request) {
    super("fetch");
    this.#request = request;
  }
  get request() { return this.#request; }
  respondWith(response) { this.#response = response; }
  waitUntil(promise) { wait(promise); }
  passThroughOnException() {}
  static responseOf(event) { return event.#response; }
}
const { responseOf } = FetchEvent;
delete FetchEvent.responseOf;

/** The global addEventListener: that of service workers. Other events never occur here. */
export function addFetchListener(type, callback) {
  if (type === "fetch") listener = callback;
}

/** Returns what serves requests with the listener of fetch, or null when there is none. */
export function serveWithListener() {
  const callback = listener;
  if (callback === null) return null;
  return (size) => {
    const event = new FetchEvent(incomingRequest(size));
    if (typeof callback === "function") callback(event);
    else callback.handleEvent(event);
    return responseOf(event);
  };
}

/** Returns what serves requests with `target.fetch`. */
export function serveWith(target) {
  return (size) => target.fetch(incomingRequest(size), environment, context);
}

/** Writes a response as the answer. Returns true, or a promise of it: when waitUntil keeps the run going on. */
export function write(response) {
  if (!isResponse(response)) {
    throw new TypeError(`the function fetch returned ${response === null || typeof response !== "object" ? inspect(response) : "an object"}, needed is a Response`);
  }
  const head = headOfResponse(response);
  const body = takeBody(response);
  if (typeof body?.then === "function") return body.then((bytes) => finish(head, bytes));
  return finish(head, body);
}

function finish(head, body) {
  writeAnswer(head, body?.length ? body : undefined);
  return promises === null ? true : settled();
}

async function settled() {
  isWritten = true;
  for (let done = 0; done < promises.length; done++) await promises[done]; // they may add others
  return true;
}
