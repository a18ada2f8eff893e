// Request. https://fetch.spec.whatwg.org/#request-class

import { URL, hrefOfPlain } from "./urls.mjs";
import { Body, SERVED, contentOfBody, extractBody, shareBody } from "./body.mjs";
import { AbortController, AbortSignal } from "./events.mjs";
import { Headers, adoptHeaders, listOfHeaders, methodOf } from "./headers.mjs";

const OWN = Symbol("own");
const HEAD = 2; // the part of the request that is served
const REDIRECTS = ["follow", "manual", "error"];
const SHOWN = Symbol.for("nodejs.util.inspect.custom");

let incoming = null;

export function installRequests(hostIncoming) {
  incoming = hostIncoming;
}

export class Request extends Body {
  // method, url, headers (a list of pairs) or view (the Headers that were asked for), redirect and signal; null before
  // the head of the request that is served is read.
  #head;

  constructor(input, init, ownContent) {
    if (input === OWN) {
      super(ownContent);
      this.#head = init;
      return;
    }
    init ??= {};
    const other = isRequest(input) ? input : null;
    const head = other ? copied(other) : { method: "GET", url: urlOf(input), headers: [], redirect: "follow", signal: null };
    if (init.method !== undefined) head.method = methodOf(init.method);
    if (init.redirect !== undefined) head.redirect = redirectOf(init.redirect);
    if (init.signal !== undefined) head.signal = signalOf(init.signal);
    const headers = init.headers === undefined ? null : new Headers(init.headers);
    if (headers) head.headers = listOfHeaders(headers);
    const given = init.body !== undefined && init.body !== null;
    const { content, type } = given ? extractBody(init.body) : { content: other ? contentOfBody(other) : null, type: null };
    if (content !== null && (head.method === "GET" || head.method === "HEAD")) {
      throw new TypeError(`a request with the method ${head.method} cannot have a body`);
    }
    if (type !== null && !head.headers.some(([name]) => name === "content-type")) head.headers.push(["content-type", type]);
    super(content);
    this.#head = head;
  }

  /** For the prelude. */
  static is(value) { return value !== null && typeof value === "object" && #head in value; }
  static headOf(request) {
    const head = request.#read();
    return { method: head.method, url: head.url, headers: head.view ? listOfHeaders(head.view) : head.headers, redirect: head.redirect ?? "follow", signal: head.signal ?? null };
  }

  get method() { return this.#read().method; }
  get url() { return this.#read().url; }
  get headers() { return (this.#read().view ??= adoptHeaders(this.#head.headers)); }
  get redirect() { return this.#read().redirect ?? "follow"; }
  get cf() { return {}; } // what Cloudflare knows of a client, which Workers read without a check; nothing is known here
  get signal() { return (this.#read().signal ??= new AbortController().signal); }
  get cache() { return "default"; }
  get credentials() { return "same-origin"; }
  get destination() { return ""; }
  get duplex() { return "half"; }
  get integrity() { return ""; }
  get keepalive() { return false; }
  get mode() { return "cors"; }
  get referrer() { return "about:client"; }
  get referrerPolicy() { return ""; }
  clone() {
    return new Request(OWN, copied(this), shareBody(this));
  }
  #read() { return (this.#head ??= incoming(HEAD)); }
  get [Symbol.toStringTag]() { return "Request"; }
  [SHOWN](_depth, options, inspect) {
    const { method, url, headers, bodyUsed } = this;
    return `Request ${inspect({ method, url, headers, bodyUsed }, options)}`;
  }
}
export const { is: isRequest, headOf: headOfRequest } = Request;
delete Request.is;
delete Request.headOf;

/** Returns the request that is served, whose body has `size` bytes. */
export function incomingRequest(size) {
  return new Request(OWN, null, size ? SERVED : null);
}

function copied(request) {
  const head = headOfRequest(request);
  head.headers = head.headers.map((pair) => [...pair]);
  return head;
}

function urlOf(input) {
  const text = String(input);
  const plain = hrefOfPlain(text);
  if (plain !== null) return plain;
  const url = new URL(text);
  if (url.username || url.password) throw new TypeError("the URL of a request has a user name or a password: send the header Authorization");
  url.hash = "";
  return url.href;
}

function redirectOf(redirect) {
  if (!REDIRECTS.includes(redirect)) throw new TypeError(`redirect is ${JSON.stringify(redirect)}; accepted are ${REDIRECTS.join(", ")}`);
  return redirect;
}

function signalOf(signal) {
  if (signal !== null && !(signal instanceof AbortSignal)) throw new TypeError("signal needs an AbortSignal");
  return signal;
}
