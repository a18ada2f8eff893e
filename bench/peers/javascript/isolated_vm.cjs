// The function in JavaScript in isolated-vm, in a new context for each call; the script is compiled once.
// Rounds as in bench/peers/rounds.py. Node needs --no-node-snapshot for isolated-vm.
const ivm = require("isolated-vm");
const readline = require("node:readline");

const ROUND_MS = 400;
const isolate = new ivm.Isolate({ memoryLimit: 128 });
const script = isolate.compileScriptSync(
  "const handle = ({ a, b }) => ({ sum: a + b }); (text) => JSON.stringify(handle(JSON.parse(text)))",
);

function call() {
  const context = isolate.createContextSync();
  const handle = script.runSync(context, { reference: true });
  const answer = handle.applySync(undefined, ['{"a":1,"b":2}'], { timeout: 10000 });
  handle.release();
  context.release();
  return answer;
}

if (call() !== '{"sum":3}') throw new Error(`answered ${call()}`);
console.log("ready");
readline.createInterface({ input: process.stdin }).on("line", () => {
  const times = [];
  const end = performance.now() + ROUND_MS;
  while (performance.now() < end) {
    const began = performance.now();
    call();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  console.log(times[times.length >> 1] * 1000);
});
