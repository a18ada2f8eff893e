// crypto.subtle: digests, and HMAC with keys that the author imports. https://w3c.github.io/webcrypto/

import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";

const DIGESTS = { "SHA-1": sha1, "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 };
const OWN = Symbol("own");

function nameOf(algorithm) {
  return String(typeof algorithm === "object" ? algorithm?.name : algorithm).toUpperCase();
}

function digestOf(algorithm) {
  const name = nameOf(algorithm);
  const hash = DIGESTS[name];
  if (!hash) throw new DOMException(`the digest ${name} is not supported; there are ${Object.keys(DIGESTS).join(", ")}`, "NotSupportedError");
  return { name, hash };
}

function requireHmac(algorithm) {
  const name = nameOf(algorithm);
  if (name !== "HMAC") throw new DOMException(`keys of ${name} are not supported; there is HMAC`, "NotSupportedError");
}

function view(data) {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}

export class CryptoKey {
  #bytes;
  #details;

  constructor(own, bytes, details) {
    if (own !== OWN) throw new TypeError("Illegal constructor");
    this.#bytes = bytes;
    this.#details = details;
  }
  get type() { return "secret"; }
  get extractable() { return this.#details.extractable; }
  get algorithm() { return { name: "HMAC", hash: { name: this.#details.hash }, length: this.#bytes.length * 8 }; }
  get usages() { return [...this.#details.usages]; }

  static bytesOf(key) { return key.#bytes; }
  static sign(key, usage, data) {
    if (!key.#details.usages.includes(usage)) throw new DOMException(`the key was not imported for ${usage}`, "InvalidAccessError");
    return hmac(DIGESTS[key.#details.hash], key.#bytes, view(data));
  }
}
const { bytesOf, sign } = CryptoKey;
delete CryptoKey.bytesOf;
delete CryptoKey.sign;

export class SubtleCrypto {
  async digest(algorithm, data) {
    return digestOf(algorithm).hash(view(data)).slice().buffer;
  }

  async importKey(format, data, algorithm, extractable, usages) {
    requireHmac(algorithm);
    const hash = digestOf(algorithm.hash).name;
    const bytes = keyBytes(format, data);
    if (!bytes.length) throw new DOMException("the key is empty", "DataError");
    const wrong = [...usages].filter((usage) => usage !== "sign" && usage !== "verify");
    if (wrong.length || !usages.length) throw new DOMException("the usages of a key of HMAC are sign and verify", "SyntaxError");
    return new CryptoKey(OWN, bytes, { hash, extractable: Boolean(extractable), usages: [...usages] });
  }

  async exportKey(format, key) {
    if (!key.extractable) throw new DOMException("the key was imported as not extractable", "InvalidAccessError");
    if (format === "raw") return bytesOf(key).slice().buffer;
    if (format !== "jwk") throw new DOMException(`the format ${format} is not supported; there are raw and jwk`, "NotSupportedError");
    const k = bytesOf(key).toBase64({ alphabet: "base64url", omitPadding: true });
    return { kty: "oct", k, alg: key.algorithm.hash.name.replace("SHA-", "HS"), key_ops: key.usages, ext: true };
  }

  async sign(algorithm, key, data) {
    requireHmac(algorithm);
    return sign(key, "sign", data).slice().buffer;
  }

  async verify(algorithm, key, signature, data) {
    requireHmac(algorithm);
    const expected = sign(key, "verify", data);
    const given = view(signature);
    if (given.length !== expected.length) return false;
    let difference = 0; // compared in constant time
    for (let i = 0; i < expected.length; i++) difference |= given[i] ^ expected[i];
    return difference === 0;
  }
}

function keyBytes(format, data) {
  if (format === "raw") return view(data).slice();
  if (format === "jwk" && data?.kty === "oct") return Uint8Array.fromBase64(data.k, { alphabet: "base64url" });
  throw new DOMException(`a key of the format ${format} is not supported; there are raw and jwk (oct)`, "NotSupportedError");
}
