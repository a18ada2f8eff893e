// What Request and Response have in common: a body, which is read once. https://fetch.spec.whatwg.org/#body-mixin

import { Blob, isBlob, joined, readBlob } from "./blob.mjs";
import { bytesOf, isBuffer, textOf, withoutMark } from "./bytes.mjs";
import { FormData, parseForm, writeMultipart } from "./form_data.mjs";
import { refuseAtTopLevel } from "./phase.mjs";
import { ReadableStream, chunksOf, streamOf } from "./streams.mjs";
import { URLSearchParams } from "./urls.mjs";

const BOUNDARY_BYTES = 12;

/** The content of a body that is still outside JavaScript: that of the request that is served. */
export const SERVED = Symbol("served");
const USED = Symbol("used"); // in place of a content that was read
const BYTES = 0;
const TEXT = 1;

let served = null;
let fillRandom = null;

export function installBodies(hostBody, hostRandom) {
  served = hostBody;
  fillRandom = hostRandom;
}

export class Body {
  #content; // null, a text, a Uint8Array, SERVED, a ReadableStream, or USED

  constructor(content) {
    this.#content = content;
  }

  get bodyUsed() { return this.#content === USED || this.#content?._disturbed === true; }

  get body() {
    const content = this.#content;
    if (content === null || content instanceof ReadableStream) return content;
    if (content === USED) {
      const stream = new ReadableStream();
      stream.getReader(); // locked, as the one that was read
      return stream;
    }
    this.#content = streamOf(() => bytesIn(content));
    return this.#content;
  }

  async text() {
    const content = await this.#take();
    if (content === SERVED) return withoutMark(served(TEXT));
    return typeof content === "string" ? withoutMark(content) : textOf(content);
  }
  async json() { return JSON.parse(await this.text()); }
  async bytes() { return bytesIn(await this.#take()); }
  async arrayBuffer() { return (await this.bytes()).buffer; }
  async blob() { return new Blob([await this.bytes()], { type: this.headers.get("content-type") ?? "" }); }
  async formData() { return parseForm(await this.bytes(), this.headers.get("content-type")); }

  /** Marks the body as read and returns its content: a text, bytes, SERVED, or a promise of a stream's bytes. */
  #take() {
    const content = this.#content;
    if (content === null) return "";
    if (content instanceof ReadableStream ? content._disturbed || content.locked : content === USED) {
      throw new TypeError(`the body of the ${this[Symbol.toStringTag]} was read already: read a clone() before`);
    }
    this.#content = USED;
    return content instanceof ReadableStream ? chunksOf(content).then(joined) : content;
  }

  /** For the prelude: the content to send, once: a text, bytes, undefined, or a promise of bytes. */
  static take(owner) {
    const content = owner.#content;
    if (typeof content === "string") {
      owner.#content = USED;
      return content;
    }
    if (content === null) return undefined;
    const taken = owner.#take();
    return taken === SERVED ? served(BYTES) : taken;
  }

  /** Returns the content for a Request that is made of this one, whose body counts as read then. */
  static content(owner) {
    const content = owner.#content;
    if (content === null) return null;
    if (owner.bodyUsed || content.locked) owner.#take(); // throws
    owner.#content = USED;
    return content;
  }

  /** Returns the content for a clone. */
  static share(owner) {
    if (owner.bodyUsed) throw new TypeError(`a ${owner[Symbol.toStringTag]} whose body was read cannot be cloned: clone it before`);
    if (!(owner.#content instanceof ReadableStream)) return owner.#content;
    const [own, other] = owner.#content.tee();
    owner.#content = own;
    return other;
  }
}
export const { take: takeBody, content: contentOfBody, share: shareBody } = Body;
for (const name of ["take", "content", "share"]) delete Body[name];

function bytesIn(content) {
  if (content === SERVED) return served(BYTES);
  return typeof content === "string" ? bytesOf(content) : content.slice();
}

/** Returns the content of what an author gives as a body, and the content type that it has by itself or null. */
export function extractBody(body) {
  if (typeof body === "string") return { content: body.isWellFormed() ? body : body.toWellFormed(), type: "text/plain;charset=UTF-8" };
  if (body === null || body === undefined) return { content: null, type: null };
  if (body instanceof ReadableStream) {
    if (body.locked) throw new TypeError("the stream of a body is locked: it has a reader");
    return { content: body, type: null };
  }
  if (ArrayBuffer.isView(body) || isBuffer(body)) return { content: bytesOf(body), type: null };
  if (body instanceof URLSearchParams) return { content: String(body), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  if (isBlob(body)) return { content: readBlob(body), type: body.type || null };
  if (body instanceof FormData) {
    refuseAtTopLevel("a FormData body", "its boundary would be the same in every call");
    const random = new Uint8Array(BOUNDARY_BYTES);
    fillRandom(random);
    const boundary = `----FormBoundary${random.toHex()}`;
    return { content: writeMultipart(body, boundary), type: `multipart/form-data; boundary=${boundary}` };
  }
  return extractBody(String(body));
}
