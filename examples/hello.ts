// A function exports `handle`, which takes and returns JSON text.
import { JSON } from "json-as";

@json
class Input {
  name: string = "world";
}

@json
class Output {
  greeting: string = "";
}

export function handle(input: string): string {
  const request = JSON.parse<Input>(input);
  console.log("greeting " + request.name);
  const answer = new Output();
  answer.greeting = "Hello, " + request.name + "!";
  return JSON.stringify(answer);
}
