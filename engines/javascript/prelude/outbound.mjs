// fetch: requests that the host makes. They begin when the job queue is empty, so that a guest on a thread where it may not
// wait stops before it has made one.

import { takeBody } from "./body.mjs";
import { refuseAtTopLevel } from "./phase.mjs";
import { Request, headOfRequest } from "./request.mjs";
import { receivedResponse } from "./response.mjs";

const NOT_HERE = -1; // the host does not let this thread make a request

let begin = null;
let receive = null;
let queued = [];
const pending = new Map(); // the host's number → exchange

export function installOutbound(hostRequest, hostResponse) {
  begin = hostRequest;
  receive = hostResponse;
}

export function fetch(input, init) {
  refuseAtTopLevel("fetch", "its response would be the same in every call");
  const failure = new TypeError("fetch failed"); // made here, so that its stack shows the author's line
  return new Promise((resolve, reject) => {
    const request = new Request(input, init);
    const { signal, ...head } = headOfRequest(request);
    const exchange = { head, body: undefined, ended: false, resolve, reject, failure, number: 0 };
    if (signal?.aborted) throw signal.reason;
    signal?.addEventListener("abort", () => abort(exchange, signal.reason));
    const body = takeBody(request);
    if (typeof body?.then === "function") body.then((bytes) => enqueue(exchange, bytes), reject);
    else enqueue(exchange, body);
  });
}

function enqueue(exchange, body) {
  if (exchange.ended) return;
  exchange.body = body?.length ? body : undefined;
  queued.push(exchange);
}

function abort(exchange, reason) {
  exchange.ended = true; // the host goes on with its request until the call ends
  pending.delete(exchange.number);
  exchange.reject(reason);
}

/**
 * Begins what is queued and settles what has completed. Returns -1 where the guest must stop, undefined when something has
 * completed, true while something is pending, and null when nothing is.
 */
export function runRequests() {
  if (!queued.length && !pending.size) return null;
  const exchanges = queued;
  queued = [];
  for (const exchange of exchanges) {
    if (exchange.ended) continue;
    exchange.number = begin(JSON.stringify(exchange.head), exchange.body);
    exchange.body = undefined;
    if (exchange.number === NOT_HERE) return NOT_HERE;
    if (exchange.number > 0) pending.set(exchange.number, exchange);
    else settle(exchange, [{ error: "the server could not begin the request" }]);
  }
  let completed = false;
  for (const [number, exchange] of pending) {
    const response = receive(number);
    if (response === undefined) continue;
    completed = true;
    pending.delete(number);
    settle(exchange, response);
  }
  return completed ? undefined : pending.size ? true : null;
}

function settle(exchange, [head, bytes]) {
  if (head.error === undefined) exchange.resolve(receivedResponse(head, bytes, exchange.head.method));
  else {
    exchange.failure.message = `fetch failed: ${head.error}`;
    exchange.reject(exchange.failure);
  }
}
