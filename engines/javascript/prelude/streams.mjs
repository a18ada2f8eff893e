// Streams: those of the package, and what bodies need of them.

import {
  ByteLengthQueuingStrategy, CountQueuingStrategy, ReadableStream, ReadableStreamBYOBReader, ReadableStreamDefaultReader, TransformStream,
  WritableStream, WritableStreamDefaultWriter,
} from "web-streams-polyfill";
import { bytesOf } from "./bytes.mjs";
import { defineGlobals } from "./define.mjs";

export { ReadableStream };

export function installStreams() {
  defineGlobals({
    ByteLengthQueuingStrategy, CountQueuingStrategy, ReadableStream, ReadableStreamBYOBReader, ReadableStreamDefaultReader, TransformStream,
    WritableStream, WritableStreamDefaultWriter,
  });
}

/** Returns a stream of one chunk, which `read` returns when it is asked for. */
export function streamOf(read) {
  return new ReadableStream({
    pull(controller) {
      const bytes = read();
      if (bytes.length) controller.enqueue(bytes);
      controller.close();
    },
  }, { highWaterMark: 0 });
}

/** Returns the chunks of a stream as bytes. */
export async function chunksOf(stream) {
  const chunks = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    if (typeof value === "string" || value === null || typeof value !== "object") {
      throw new TypeError(`a stream of a body had a chunk of type ${value === null ? "null" : typeof value}; needed are Uint8Arrays: use a TextEncoder`);
    }
    chunks.push(bytesOf(value));
  }
}
