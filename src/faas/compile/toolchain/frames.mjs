// Frames on stdin and stdout: a length of four bytes, big-endian, then the content.

/** Writes a frame of `parts`, texts or bytes. */
export function send(...parts) {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return new Promise((written) => process.stdout.write(Buffer.concat([length, content]), written));
}

/** The contents of the frames that `stream` brings. */
export async function* frames(stream) {
  let buffered = Buffer.alloc(0);
  for await (const chunk of stream) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
      const end = 4 + buffered.readUInt32BE(0);
      yield buffered.subarray(4, end);
      buffered = buffered.subarray(end);
    }
  }
}
