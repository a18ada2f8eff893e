// Maps over a table of e-mail addresses: `faas pipeline local --enricher function --function enrich …`.
// The input is {"email": …}; the output has any of linkedin_url, company, title, description, confidence.
import { JSON } from "json-as";

@json
class Input {
  email: string = "";
}

@json
class Output {
  company: string = "";
  title: string = "";
  description: string = "";
  confidence: string = "";
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

export function handle(input: string): string {
  const email = JSON.parse<Input>(input).email;
  const at = email.indexOf("@");
  if (at < 1) throw new Error("not an address");
  const company = capitalized(email.slice(at + 1).split(".")[0]);
  const output = new Output();
  output.company = company;
  output.title = "Employee";
  output.description = capitalized(email.slice(0, at).split(".")[0]) + " of " + company;
  output.confidence = "medium";
  return JSON.stringify(output);
}
