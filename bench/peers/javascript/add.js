// The benchmark's function in JavaScript for workerd and Deno, which both call `fetch` of the default export.
import { handle } from "../../functions/add.js";

export default {
  async fetch(request) {
    if (request.method === "GET") return Response.json({}); // the readiness check of the benchmark
    const { input } = await request.json();
    return Response.json({ output: handle(input) });
  },
};
