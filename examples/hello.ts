// A function exports `handle`: a JSON value in, a JSON value out. The types are removed when it is deployed.
interface Input {
  name?: string;
}

export function handle({ name = "world" }: Input) {
  console.log(`greeting ${name}`);
  return { greeting: `Hello, ${name}!` };
}
