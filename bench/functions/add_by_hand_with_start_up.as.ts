// add_by_hand.ts with the start-up code of json-as, which the calls that are measured do not use.
import { JSON } from "json-as";

@json
class Unused {
  a: f64 = 0;
}

export function unused(input: string): string {
  return JSON.stringify(JSON.parse<Unused>(input));
}

function numberAfter(input: string, key: string): f64 {
  const colon = input.indexOf(":", input.indexOf(key));
  let end = colon + 1;
  while (end < input.length && input.charCodeAt(end) != 0x2c && input.charCodeAt(end) != 0x7d) end++;
  return parseFloat(input.substring(colon + 1, end));
}

export function handle(input: string): string {
  const sum = numberAfter(input, '"a"') + numberAfter(input, '"b"');
  const text = sum.toString();
  return '{"sum":' + (text.endsWith(".0") ? text.slice(0, -2) : text) + "}";
}
