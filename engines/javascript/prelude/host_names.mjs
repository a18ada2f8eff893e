// In place of tr46, which whatwg-url imports: its tables take five megabytes of every engine's memory. International host
// names are mapped by compatibility normalization and lower case, which is what UTS 46 does for nearly all of them.

import { toASCII as encode } from "punycode/";

/** The ASCII form of a host name, or null. */
export function toASCII(domain) {
  try {
    const mapped = encode(domain.normalize("NFKC").toLowerCase().normalize("NFKC"));
    return mapped.split(".").some((label) => label.length > 63) && mapped.length > 253 ? null : mapped;
  } catch {
    return null;
  }
}
