"""Functions as HTTP endpoints, and their outbound requests: what they add to an execution."""

import json
from contextlib import ExitStack

from bench import servers
from bench.client import BODY, warm_faas
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.stats import Figure, at_least, at_most, figure, in_turns, within

_EXECUTE, _ENDPOINT, _EXECUTE_WORKER = "/functions/hello/execute", "/f/worker/", "/functions/worker/execute"


def measure(plan: Plan) -> list[Figure]:
    """Compare an endpoint with an execution, and a function that makes a request with one that makes none."""
    require_wrk()
    with ExitStack() as stack:
        ours, client = stack.enter_context(warm_faas(plan.data_dir("endpoints")))
        echo = stack.enter_context(servers.echo())
        client.deploy("hello", "hello.js")
        client.deploy("worker", "hello_worker.js")
        client.deploy("calls", "call_echo.js", outbound=[echo.url])
        url = json.dumps({"input": {"url": f"{echo.url}/"}})

        def load(path: str) -> float:
            return press(ours.url, [path], connections=64, seconds=plan.short_seconds, body=BODY).per_second

        def lone(server: str, path: str, body: str = BODY) -> float:
            return press(server, [path], connections=1, seconds=plan.short_seconds, body=body).median

        for path in (_EXECUTE, _ENDPOINT):
            load(path)  # warm up
        lone(ours.url, "/functions/calls/execute", url)
        plan.progress("64 connections")
        many = in_turns(plan.rounds, {"endpoint": lambda: load(_ENDPOINT), "execute": lambda: load(_EXECUTE)})
        plan.progress("one connection")
        one = in_turns(
            plan.rounds,
            {
                "endpoint": lambda: lone(ours.url, _ENDPOINT),
                "execute": lambda: lone(ours.url, _EXECUTE),
                "same": lambda: lone(ours.url, _EXECUTE_WORKER),
                "calls": lambda: lone(ours.url, "/functions/calls/execute", url),
                "echo": lambda: lone(echo.url, "/"),
            },
        )
        client.require_no_failures()
    without = [execute + answer for execute, answer in zip(one["execute"], one["echo"], strict=True)]
    return [
        figure(
            "a lone request to /f/, fetch", "ms", at_most(1.25), one["endpoint"], ("execute, handle", one["execute"])
        ),
        figure("a lone request to /f/, fetch", "ms", at_most(1.25), one["endpoint"], ("execute, fetch", one["same"])),
        figure("requests to /f/, 64 connections", "/s", at_least(0.8), many["endpoint"], ("execute", many["execute"])),
        figure("a lone execution with a request", "ms", within(1.0), one["calls"], ("without + the server", without)),
    ]
