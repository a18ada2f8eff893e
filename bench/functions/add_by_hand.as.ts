// add.ts without a library: no code of its own runs when an instance starts.
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
