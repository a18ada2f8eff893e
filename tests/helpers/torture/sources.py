"""Sources whose output names the deploy that they came from, so that an answer tells which revision made it."""

from tests.helpers.support import core_wat

_INPUT_ADDRESS = 2048


def marked_wat(marker: str) -> str:
    """Return a module in the text format that outputs `{"marker": …, "input": …}`."""
    prefix = f'{{"marker":"{marker}","input":'
    escaped = "".join(f"\\{byte:02x}" for byte in prefix.encode())
    start = _INPUT_ADDRESS - len(prefix)
    length = f"(i32.add (local.get 1) (i32.const {len(prefix) + 1}))"
    body = f"""(i32.store8 (i32.add (local.get 0) (local.get 1)) (i32.const {ord("}")}))
        (i64.or (i64.const {start << 32}) (i64.extend_i32_u {length}))"""
    data = f';; marker:{marker}\n(data (i32.const {start}) "{escaped}")'
    return core_wat(body, extra=data, alloc=f"(i32.const {_INPUT_ADDRESS})")


def marked_assemblyscript(marker: str) -> str:
    """Return the same in AssemblyScript."""
    return f"""// marker:{marker}
export function handle(input: string): string {{ return '{{"marker":"{marker}","input":' + input + '}}'; }}"""


def broken_wat(marker: str) -> str:
    """Return a source that does not compile."""
    return f"(module ;; marker:{marker} broken\n"
