// The benchmark's function: adds two numbers from JSON, with json-as.
import { JSON } from "json-as";

@json
class Input {
  a: f64 = 0;
  b: f64 = 0;
}

@json
class Output {
  sum: f64 = 0;
}

export function handle(input: string): string {
  const asked = JSON.parse<Input>(input);
  const answer = new Output();
  answer.sum = asked.a + asked.b;
  return JSON.stringify(answer);
}
