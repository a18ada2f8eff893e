// A long-lived worker process that removes the types of TypeScript. Node replaces them by spaces, so lines and columns stay
// the author's. Requests and answers are frames: a source, and a letter with JavaScript ("J") or an error ("E").

import { stripTypeScriptTypes } from "node:module";
import { frames, send } from "./frames.mjs";

const FILE = "function.ts";

function strip(source) {
  try {
    return ["J", stripTypeScriptTypes(source, { mode: "strip" })];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return ["E", `SyntaxError: ${error.message}${place(error.stack)}`];
  }
}

/** Where the error is. Node says it as its command line does: `file:line`, the lines, and carets below the last one. */
function place(stack) {
  const shown = /^.*:(\d+)\n(?:.*\n)*?( *)\^/.exec(stack);
  return shown ? `\n    at ${FILE}:${shown[1]}:${shown[2].length + 1}` : "";
}

// The first call takes 80 ms, later ones less than one.
strip("let warmUp: string;");
await send();
for await (const source of frames(process.stdin)) await send(...strip(source.toString("utf8")));
