"""Functions in Python from the command line, on a server of their own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.command_line import Faas
from tests.helpers.server import serving

EXAMPLES = Path(__file__).parents[2] / "examples"
INVOICE = '{"mail": "me@example.org", "lines": [{"sku": "a", "quantity": 2, "price": "1.25"}]}'


@pytest.fixture
async def faas(database_url: str) -> AsyncIterator[Faas]:
    options = ("--languages", "python", "--compile-workers", "1")
    async with serving("--database-url", database_url, *options) as server:
        yield Faas(server)


async def test_cli_deploys_and_invokes_a_python_function(faas: Faas, tmp_path: Path) -> None:
    out, _ = await faas("deploy", str(EXAMPLES / "invoice.py"))
    assert out == "invoice created, revision 1: READY, live\n"
    out, err = await faas("invoke", "invoice", "--input", INVOICE)
    assert json.loads(out) == {"total": "2.50", "quantities": {"a": 2}}
    assert err == "invoice of 1 lines\n"
    _, err = await faas("invoke", "invoice", "--input", '{"mail": "nope", "lines": []}', code=1)
    assert "ValueError: not a mail address: 'nope'" in err
    assert 'File "function.py", line 24, in handle' in err

    file = tmp_path / "invoice.py"
    file.write_text("def handle(input:\n    return 1\n")
    out, err = await faas("deploy", str(file), code=1)
    assert "SyntaxError: '(' was never closed (function.py:1:11)" in out + err
    out, _ = await faas("invoke", "invoice", "--input", INVOICE)  # the revision before it is still live
    assert json.loads(out)["total"] == "2.50"

    file.write_text("async def lambda_handler(event, context):\n    return context.aws_request_id\n")
    out, _ = await faas("deploy", str(file))
    assert "revision 3: READY, live" in out
    out, _ = await faas("invoke", "invoice", "--json")
    execution = json.loads(out)
    assert execution["output"] == execution["id"]
