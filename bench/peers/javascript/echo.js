// The JSON of the request, for workerd and Deno, as bench/peers/echo.py returns it.
export default {
  async fetch(request) {
    if (request.method === "GET") return Response.json({}); // the readiness check of the benchmark
    return Response.json(await request.json());
  },
};
