// add.ts as an Extism plug-in: the same code, with input and output by Extism's host functions in place of ours.
import { JSON } from "json-as";

@external("extism:host/env", "input_length") declare function inputLength(): u64;
@external("extism:host/env", "input_load_u8") declare function inputByte(offset: u64): u8;
@external("extism:host/env", "input_load_u64") declare function inputWord(offset: u64): u64;
@external("extism:host/env", "alloc") declare function allocate(length: u64): u64;
@external("extism:host/env", "store_u8") declare function storeByte(offset: u64, value: u8): void;
@external("extism:host/env", "store_u64") declare function storeWord(offset: u64, value: u64): void;
@external("extism:host/env", "output_set") declare function setOutput(offset: u64, length: u64): void;

@json
class Input {
  a: f64 = 0;
  b: f64 = 0;
}

@json
class Output {
  sum: f64 = 0;
}

function readInput(): string {
  const length = <i32>inputLength();
  const bytes = new ArrayBuffer(length);
  const start = changetype<usize>(bytes);
  let at = 0;
  for (; at + 8 <= length; at += 8) store<u64>(start + at, inputWord(at));
  for (; at < length; at++) store<u8>(start + at, inputByte(at));
  return String.UTF8.decode(bytes);
}

function writeOutput(text: string): void {
  const bytes = String.UTF8.encode(text);
  const start = changetype<usize>(bytes);
  const block = allocate(bytes.byteLength);
  let at = 0;
  for (; at + 8 <= bytes.byteLength; at += 8) storeWord(block + at, load<u64>(start + at));
  for (; at < bytes.byteLength; at++) storeByte(block + at, load<u8>(start + at));
  setOutput(block, bytes.byteLength);
}

// Extism has no env.abort.
export function trap(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  unreachable();
}

export function handle(): i32 {
  const asked = JSON.parse<Input>(readInput());
  const answer = new Output();
  answer.sum = asked.a + asked.b;
  writeOutput(JSON.stringify(answer));
  return 0;
}
