// A function is `handle`: JSON text in, JSON text out.
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
  const asked = JSON.parse<Input>(input);
  console.log("greeting " + asked.name);
  const answer = new Output();
  answer.greeting = "Hello, " + asked.name + "!";
  return JSON.stringify(answer);
}
