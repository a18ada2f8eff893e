-- Requests and report of wrk. Arguments: the body to POST ("" for GET), then one or more paths, requested in turn.
-- The last line of the output is a JSON object: latencies in microseconds, and the sum of all kinds of failures.

local requests = {}
local turn = 0

function init(arguments)
  if arguments[1] ~= "" then
    wrk.method = "POST"
    wrk.body = arguments[1]
    wrk.headers["Content-Type"] = "application/json"
  end
  for index = 2, #arguments do
    requests[index - 1] = wrk.format(nil, arguments[index])
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "failures": %d, "mean": %f, "median": %d, "p99": %d}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency.mean, latency:percentile(50), latency:percentile(99)
  ))
end
