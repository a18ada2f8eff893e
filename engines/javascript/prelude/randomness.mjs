// Math.random and the random part of crypto. Nothing random may be kept in an image: every call asks the host again.

import { defineGlobals } from "./define.mjs";
import { refuseAtTopLevel } from "./phase.mjs";
import { CryptoKey, SubtleCrypto } from "./subtle.mjs";

const FROZEN = "its value would be the same in every call";
const QUOTA_BYTES = 65536; // of the Web Cryptography API
const INTEGER_ARRAY = /^(?:Big)?(?:Int|Uint)(?:8|16|32|64)(?:Clamped)?Array$/;

/** Returns 16 bytes as the text of a UUID. */
export function formatUuid(bytes) {
  return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export function installRandomness(fill) {
  let state = null; // of the generator sfc32, from the host at the first use in a call
  function next() {
    const [a, b, c, counter] = state;
    const result = (a + b | 0) + counter | 0;
    state[3] = counter + 1;
    state[0] = b ^ b >>> 9;
    state[1] = c + (c << 3);
    state[2] = (c << 21 | c >>> 11) + result;
    return result >>> 0;
  }
  const random = {
    random() {
      if (state === null) {
        refuseAtTopLevel("Math.random", FROZEN);
        const bytes = new Uint8Array(16);
        fill(bytes);
        state = new Int32Array(bytes.buffer);
        for (let round = 0; round < 15; round++) next();
      }
      return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
    },
  }.random;
  Object.defineProperty(Math, "random", { value: random, writable: true, configurable: true });

  class Crypto {
    getRandomValues(array) {
      refuseAtTopLevel("crypto.getRandomValues", FROZEN);
      if (!INTEGER_ARRAY.test(array?.[Symbol.toStringTag])) {
        throw new DOMException("crypto.getRandomValues needs an array of integers", "TypeMismatchError");
      }
      if (array.byteLength > QUOTA_BYTES) {
        throw new DOMException(`crypto.getRandomValues fills at most ${QUOTA_BYTES} bytes`, "QuotaExceededError");
      }
      if (array.byteLength) fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return array;
    }
    randomUUID() {
      refuseAtTopLevel("crypto.randomUUID", FROZEN);
      const bytes = new Uint8Array(16);
      fill(bytes);
      bytes[6] = bytes[6] & 0x0f | 0x40;
      bytes[8] = bytes[8] & 0x3f | 0x80;
      return formatUuid(bytes);
    }
    get subtle() {
      return subtle;
    }
  }
  const subtle = new SubtleCrypto();
  defineGlobals({ Crypto, CryptoKey, SubtleCrypto, crypto: new Crypto() });
}
