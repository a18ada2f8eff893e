// FormData, and its two forms as a body: urlencoded and multipart. https://xhr.spec.whatwg.org/#interface-formdata

import { URLSearchParams } from "./urls.mjs";
import { bytesOf, textOf } from "./bytes.mjs";
import { File, isBlob, joined, readBlob } from "./blob.mjs";

const CR = 13;
const LINE_ENDS = /\r\n|\r|\n/g;
const BOUNDARY = /boundary=(?:"([^"]+)"|([^\s;]+))/i;

export class FormData {
  #entries = [];

  constructor(form) {
    if (form !== undefined) throw new TypeError("FormData of a form: there are none here");
  }
  append(name, value, filename) { this.#entries.push([text(name), entryValue(value, filename)]); }
  set(name, value, filename) {
    name = text(name);
    const entry = [name, entryValue(value, filename)];
    const first = this.#entries.findIndex((other) => other[0] === name);
    if (first < 0) this.#entries.push(entry);
    else this.#entries = [...this.#entries.slice(0, first), entry, ...this.#entries.slice(first + 1).filter((other) => other[0] !== name)];
  }
  delete(name) { this.#entries = this.#entries.filter((entry) => entry[0] !== text(name)); }
  get(name) { return this.#entries.find((entry) => entry[0] === text(name))?.[1] ?? null; }
  getAll(name) { return this.#entries.filter((entry) => entry[0] === text(name)).map((entry) => entry[1]); }
  has(name) { return this.#entries.some((entry) => entry[0] === text(name)); }
  forEach(callback, thisArgument) {
    for (const [name, value] of this) callback.call(thisArgument, value, name, this);
  }
  *entries() {
    for (const [name, value] of this.#entries) yield [name, value];
  }
  *keys() {
    for (const [name] of this.#entries) yield name;
  }
  *values() {
    for (const [, value] of this.#entries) yield value;
  }
  get [Symbol.toStringTag]() { return "FormData"; }
}
Object.defineProperty(FormData.prototype, Symbol.iterator, { value: FormData.prototype.entries, writable: true, configurable: true });

function text(value) {
  return String(value).toWellFormed();
}

function entryValue(value, filename) {
  if (!isBlob(value)) return text(value);
  if (value instanceof File && filename === undefined) return value;
  const { type } = value;
  return new File([value], filename ?? value.name ?? "blob", { type });
}

/** Returns the form in a body of bytes. Throws TypeError where `type`, its content type, is not one of a form. */
export function parseForm(bytes, type) {
  const kind = (type ?? "").split(";", 1)[0].trim().toLowerCase();
  if (kind === "application/x-www-form-urlencoded") {
    const form = new FormData();
    for (const [name, value] of new URLSearchParams(textOf(bytes))) form.append(name, value);
    return form;
  }
  const boundary = BOUNDARY.exec(type ?? "");
  if (kind !== "multipart/form-data" || !boundary) {
    throw new TypeError(`formData() needs a body of multipart/form-data with a boundary or application/x-www-form-urlencoded, not of ${type || "no type"}`);
  }
  return parseMultipart(bytes, boundary[1] ?? boundary[2]);
}

function parseMultipart(bytes, boundary) {
  const form = new FormData();
  const mark = bytesOf(`\r\n--${boundary}`);
  let position = startsWith(bytes, mark.subarray(2), 0) ? mark.length - 2 : after(bytes, mark, 0);
  for (;;) {
    if (position < 0) throw new TypeError("the multipart body has no closing boundary");
    if (bytes[position] === 45 && bytes[position + 1] === 45) return form; // the closing boundary ends with --
    const head = after(bytes, bytesOf("\r\n\r\n"), position);
    if (head < 0) throw new TypeError("a part of the multipart body has no end of its headers");
    const end = after(bytes, mark, head - 2); // an empty part begins with the boundary's line end
    if (end < 0) throw new TypeError("the multipart body has no closing boundary");
    addPart(form, textOf(bytes.subarray(position, head)), bytes.subarray(head, Math.max(head, end - mark.length)));
    position = end;
  }
}

function startsWith(bytes, wanted, position) {
  for (let i = 0; i < wanted.length; i++) if (bytes[position + i] !== wanted[i]) return false;
  return true;
}

/** Returns the position after the next `mark`, which begins with a carriage return, or -1. */
function after(bytes, mark, position) {
  for (let found = bytes.indexOf(CR, position); found >= 0; found = bytes.indexOf(CR, found + 1)) {
    if (startsWith(bytes, mark, found)) return found + mark.length;
  }
  return -1;
}

function addPart(form, head, content) {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1];
  const name = parameter(disposition, "name");
  if (name === null) throw new TypeError("a part of the multipart body has no name");
  const filename = parameter(disposition, "filename");
  if (filename === null) form.append(name, textOf(content));
  else {
    const type = /^content-type:\s*(.*?)\s*$/im.exec(head)?.[1] ?? "application/octet-stream";
    form.append(name, new File([content], filename, { type }));
  }
}

function parameter(disposition, name) {
  const found = new RegExp(`(?:^|[;\\s])${name}=(?:"([^"]*)"|([^\\s;]*))`, "i").exec(disposition ?? "");
  return found ? (found[1] ?? found[2]).replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%22", '"') : null;
}

/** Returns the bytes of a form as multipart/form-data. */
export function writeMultipart(form, boundary) {
  const chunks = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(name.replace(LINE_ENDS, "\r\n"))}"`;
    if (isBlob(value)) {
      const type = value.type || "application/octet-stream";
      chunks.push(bytesOf(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`), readBlob(value), bytesOf("\r\n"));
    } else chunks.push(bytesOf(`${head}\r\n\r\n${value.replace(LINE_ENDS, "\r\n")}\r\n`));
  }
  return joined([...chunks, bytesOf(`--${boundary}--\r\n`)]);
}

function escaped(name) {
  return name.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}
