"""The function in JavaScript in quickjs-rs, in a new context for each call.

python -m bench.peers.quickjs_context
"""

from quickjs_rs import Runtime

from bench.peers.rounds import answer_rounds

_SOURCE = 'const handle = ({ a, b }) => ({ sum: a + b }); JSON.stringify(handle(JSON.parse(\'{"a":1,"b":2}\')))'

if __name__ == "__main__":
    with Runtime() as runtime:

        def call() -> object:
            """Evaluate the function and call it."""
            with runtime.new_context() as context:
                return context.eval(_SOURCE)

        answer_rounds(call, '{"sum":3}')
