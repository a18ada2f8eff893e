"""One server with 10,000 different functions in JavaScript: executions per second, and the memory that each takes."""

import random

from bench import steady
from bench.client import BODY, INPUT, Client, warm_faas
from bench.database import module_of, psql
from bench.failure import BenchmarkFailed
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, below, figure, in_turns, reported

_FUNCTIONS = 10_000
_CONNECTIONS = 64
_PICKS = 20_000  # of functions at random, which are requested in turn
_SEED = 15
_NAME = b"f000000"  # in named_add.js

# Copies of the function `one`, each with a module of its own: its image with another name at the same places.
_COPIES = """
CREATE TEMPORARY TABLE copies AS
    SELECT 'f' || lpad(number::text, 6, '0') AS name, {overlaid} AS wasm
    FROM generate_series(1, {count}) AS number, modules
    WHERE digest = (SELECT module_digest FROM functions JOIN revisions ON function_id = id WHERE name = 'one');
INSERT INTO modules (digest, wasm) SELECT sha256(wasm), wasm FROM copies;
WITH made AS (
    INSERT INTO functions (id, name, newest_revision, live_revision)
    SELECT uuidv7(), name, 1, 1 FROM copies RETURNING id, name
)
INSERT INTO revisions (function_id, number, language, source, settings, status, module_digest, contract)
SELECT made.id, 1, language, source, settings, status, sha256(copies.wasm), contract
FROM made JOIN copies USING (name),
     (SELECT revisions.* FROM revisions JOIN functions ON function_id = id WHERE name = 'one') AS model;
VACUUM ANALYZE functions;
VACUUM ANALYZE revisions;
VACUUM ANALYZE modules;
"""


def measure(plan: Plan) -> list[Figure]:
    """Compare executions of one function with those of all at random; measure the memory of idle ones."""
    require_wrk()
    count = plan.count(_FUNCTIONS)
    with warm_faas(plan.data_dir("functions")) as (server, client):
        client.deploy("one", "named_add.js")
        plan.progress(f"{count:,} functions")
        psql(server, _copies(module_of(server, "one"), count))
        names = [f"f{number:06}" for number in range(1, count + 1)]
        _require_own_names(client, ["one", names[0], names[-1]])
        one = [_path("one")]
        picks = random.Random(_SEED).choices([_path(name) for name in names], k=_PICKS)  # noqa: S311
        _press(server, one, plan.seconds)  # a warm-up: what follows is the memory of functions alone
        before = {kind: server.memory_kib(kind) for kind in ("RssAnon", "RssFile", "RssShmem")}
        plan.progress("each once")
        steady.post(
            server.url, [_path(name) for name in names], BODY.encode(), connections=_CONNECTIONS, count=count, rate=None
        )
        grown = {kind: server.memory_kib(kind) - kib for kind, kib in before.items()}
        _press(server, picks, plan.seconds)
        rounds = in_turns(
            plan.rounds,
            {
                "one": lambda: _press(server, one, plan.seconds),
                "all": lambda: _press(server, picks, plan.seconds),
            },
        )
        client.require_no_failures()
    of_files = [(grown["RssFile"] + grown["RssShmem"]) / count]
    return [
        figure(
            f"executions, 64 connections, {count:,} functions at random",
            "/s",
            at_least(0.7),
            rounds["all"],
            ("one function", rounds["one"]),
        ),
        figure("memory of an idle function", "KiB", below(60), [grown["RssAnon"] / count]),
        figure("the same in mapped files", "KiB", reported("value"), of_files),
    ]


def _copies(image: bytes, count: int) -> str:
    """Return the statements that make `count` functions of the image of `one`."""
    overlaid, start = "wasm", image.find(_NAME)
    if start < 0:
        raise BenchmarkFailed(f"the image does not contain {_NAME!r}")
    while start >= 0:
        digits = "convert_to(lpad(number::text, 6, '0'), 'UTF8')"
        overlaid = f"overlay({overlaid} PLACING {digits} FROM {start + 2})"
        start = image.find(_NAME, start + 1)
    return _COPIES.format(overlaid=overlaid, count=count)


def _require_own_names(client: Client, functions: list[str]) -> None:
    for function in functions:
        wanted = {"sum": 3, "name": "f000000" if function == "one" else function}
        if (answer := client.execute(function)).get("output") != wanted:
            raise BenchmarkFailed(f"{function} answered {answer} to {INPUT}")


def _path(name: str) -> str:
    return f"/functions/{name}/execute"


def _press(server: Server, paths: list[str], seconds: int) -> float:
    return press(server.url, paths, connections=_CONNECTIONS, seconds=seconds, body=BODY).per_second
