// Add numbers: faas invoke sum --input '{"numbers": [1, 2, 3.5]}'
import { JSON } from "json-as";

@json
class Input {
  numbers: f64[] = [];
}

@json
class Output {
  sum: f64 = 0;
  count: i32 = 0;
}

export function handle(input: string): string {
  const numbers = JSON.parse<Input>(input).numbers;
  const answer = new Output();
  answer.count = numbers.length;
  for (let i = 0; i < numbers.length; i++) answer.sum += numbers[i];
  return JSON.stringify(answer);
}
