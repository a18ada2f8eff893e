// Texts and bytes, by the engine's own functions: those of the packages take a hundred times as long.

let decode = null;
let encode = null;

export function installBytes(hostDecode, hostEncode) {
  decode = hostDecode;
  encode = hostEncode;
}

/** Returns the text of bytes in UTF-8, without a byte order mark. */
export function textOf(bytes) {
  return bytes.length ? withoutMark(decode(bytes)) : "";
}

export function withoutMark(text) {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Returns new bytes: of a text in UTF-8, or a copy of those of a buffer or view. */
export function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  if (isBuffer(value)) return new Uint8Array(value).slice();
  return encode(String(value).toWellFormed());
}

export function isBuffer(value) {
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}
