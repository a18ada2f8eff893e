// Response. https://fetch.spec.whatwg.org/#response-class

import { URL } from "./urls.mjs";
import { Body, extractBody, shareBody } from "./body.mjs";
import { Headers, adoptHeaders, listOfHeaders } from "./headers.mjs";

const OWN = Symbol("own");
const SHOWN = Symbol.for("nodejs.util.inspect.custom");
const NOT_A_REASON = /[^\t\x20-\x7e\x80-\xff]/;
// Heads of responses whose headers are only the type of the body, until they are asked for. They are never changed.
const TEXT_HEAD = headWith("text/plain;charset=UTF-8");
const JSON_HEAD = headWith("application/json");

function headWith(contentType, status = 200) {
  return { status, statusText: "", headers: null, contentType, origin: null };
}

export class Response extends Body {
  #head;

  constructor(body, init, ownContent) {
    if (body === OWN) {
      super(ownContent);
      this.#head = init;
      return;
    }
    if (init === undefined && typeof body === "string") {
      super(body.isWellFormed() ? body : body.toWellFormed());
      this.#head = TEXT_HEAD;
      return;
    }
    const extracted = extractBody(body);
    super(extracted.content);
    this.#head = checkedHead(init ?? {}, extracted);
  }

  static error() { return new Response(OWN, headWith(null, 0), null); }
  static json(data, init) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError(`Response.json cannot write a value of type ${typeof data}`);
    const content = text.isWellFormed() ? text : text.toWellFormed();
    return new Response(OWN, init === undefined ? JSON_HEAD : checkedHead(init ?? {}, { content, type: JSON_HEAD.contentType }), content);
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`the status of a redirect is ${status}; accepted are 301, 302, 303, 307 and 308`);
    const head = headWith(null, status);
    head.headers = new Headers({ location: new URL(String(url)).href });
    return new Response(OWN, head, null);
  }

  /** For the prelude: the head of the frame of a response, as JSON. */
  static is(value) { return value !== null && typeof value === "object" && #head in value; }
  static headOf(response) {
    const { status, statusText, headers, contentType } = response.#head;
    if (status === 0) throw new TypeError("the function fetch returned Response.error(), which is no answer: throw an Error, or return a Response with a status");
    if (response.#head === TEXT_HEAD) return '{"status":200,"headers":[["content-type","text/plain;charset=UTF-8"]]}';
    if (response.#head === JSON_HEAD) return '{"status":200,"headers":[["content-type","application/json"]]}';
    return JSON.stringify({ status, statusText, headers: headers ? listOfHeaders(headers) : contentType === null ? [] : [["content-type", contentType]] });
  }

  get status() { return this.#head.status; }
  get statusText() { return this.#head.statusText; }
  get ok() { return this.status >= 200 && this.status <= 299; }
  get headers() {
    if (this.#head.headers === null) this.#head = withHeaders(this.#head);
    return this.#head.headers;
  }
  get type() { return this.status === 0 ? "error" : this.#head.origin ? "basic" : "default"; }
  get url() { return this.#head.origin?.url ?? ""; }
  get redirected() { return this.#head.origin?.redirected ?? false; }
  clone() {
    const head = { ...this.#head };
    if (head.headers) head.headers = new Headers(head.headers);
    return new Response(OWN, head, shareBody(this));
  }
  get [Symbol.toStringTag]() { return "Response"; }
  [SHOWN](_depth, options, inspect) {
    const { status, statusText, headers, ok, url, bodyUsed } = this;
    return `Response ${inspect({ status, statusText, headers, ok, url, bodyUsed }, options)}`;
  }
}
export const { is: isResponse, headOf: headOfResponse } = Response;
delete Response.is;
delete Response.headOf;

function withHeaders(head) {
  return { ...head, headers: adoptHeaders(head.contentType === null ? [] : [["content-type", head.contentType]]) };
}

/** Returns the head that an author's `init` and body make. Throws where they are not accepted. */
function checkedHead(init, { content, type }) {
  const head = headWith(type);
  if (init.status !== undefined) head.status = statusOf(init.status);
  if (init.statusText !== undefined) head.statusText = String(init.statusText);
  if (NOT_A_REASON.test(head.statusText)) throw new TypeError("statusText has a character that a status line cannot have");
  if (content !== null && isWithoutBody(head.status)) throw new TypeError(`a Response with the status ${head.status} cannot have a body: pass null`);
  if (init.headers !== undefined) {
    head.headers = new Headers(init.headers);
    if (type !== null && !head.headers.has("content-type")) head.headers.append("content-type", type);
  }
  return head;
}

function statusOf(given) {
  const status = Math.trunc(Number(given));
  if (!(status >= 200 && status <= 599)) throw new RangeError(`the status of a Response is ${given}; accepted are 200 to 599`);
  return status;
}

/** Whether a response with this status never has a body. */
export function isWithoutBody(status) {
  return status === 101 || status === 204 || status === 205 || status === 304;
}

/** Returns the response that fetch has received: the head of a frame and its body. */
export function receivedResponse(head, bytes, method) {
  const { status, statusText = "", headers = [], url = "", redirected = false } = head;
  const content = method === "HEAD" || isWithoutBody(status) ? null : bytes;
  return new Response(OWN, { status, statusText, headers: adoptHeaders(headers), contentType: null, origin: { url, redirected } }, content);
}
