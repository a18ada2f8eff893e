// TextEncoder and TextDecoder. Imported before whatwg-url and others, which needs them when it is evaluated.

import { TextDecoder, TextEncoder } from "@exodus/bytes/encoding.js";
import { defineGlobals } from "./define.mjs";

defineGlobals({ TextDecoder, TextEncoder });
