// Blob and File: immutable bytes with a type.

import { bytesOf } from "./bytes.mjs";
import { streamOf } from "./streams.mjs";

export class Blob {
  #bytes;
  #type;

  constructor(parts = [], { type = "" } = {}) {
    if (parts === null || typeof parts !== "object" || typeof parts[Symbol.iterator] !== "function") {
      throw new TypeError("Blob needs a list of parts");
    }
    this.#bytes = joined([...parts].map((part) => (isBlob(part) ? part.#bytes : bytesOf(part))));
    this.#type = /[^\x20-\x7e]/.test(type) ? "" : String(type).toLowerCase();
  }

  /** For the prelude: whether a value is a Blob, and its bytes, which must not be changed. */
  static is(value) { return value !== null && typeof value === "object" && #bytes in value; }
  static read(blob) { return blob.#bytes; }

  get size() { return this.#bytes.length; }
  get type() { return this.#type; }
  async arrayBuffer() { return this.#bytes.slice().buffer; }
  async bytes() { return this.#bytes.slice(); }
  async text() { return new TextDecoder().decode(this.#bytes); }
  stream() { return streamOf(() => this.#bytes.slice()); }
  slice(start = 0, end = this.size, type = "") { return new Blob([this.#bytes.slice(start, end)], { type }); }
  get [Symbol.toStringTag]() { return "Blob"; }
}

export class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = {}) {
    super(parts, options);
    this.#name = String(name).toWellFormed();
    this.#lastModified = Number(options.lastModified ?? Date.now());
  }
  get name() { return this.#name; }
  get lastModified() { return this.#lastModified; }
  get [Symbol.toStringTag]() { return "File"; }
}

export const { is: isBlob, read: readBlob } = Blob;
delete Blob.is;
delete Blob.read;

/** Returns the bytes of all chunks in one array. */
export function joined(chunks) {
  if (chunks.length === 1) return chunks[0];
  const all = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let position = 0;
  for (const chunk of chunks) {
    all.set(chunk, position);
    position += chunk.length;
  }
  return all;
}
