"""The function in Python in pydantic-monty, in a new session for each call, of a pool of worker processes.

python -m bench.peers.monty_session
"""

from pydantic_monty import Monty

from bench.peers.rounds import answer_rounds

_SOURCE = 'def handle(event):\n    return {"sum": event["a"] + event["b"]}\nhandle(event)\n'

if __name__ == "__main__":
    with Monty() as pool:

        def call() -> object:
            """Evaluate the function and call it."""
            with pool.checkout() as session:
                return session.feed_run(_SOURCE, inputs={"event": {"a": 1, "b": 2}})

        answer_rounds(call, {"sum": 3})
