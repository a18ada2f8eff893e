"""The environment and the secrets of functions in Python."""

import pytest

from faas.compile.surroundings import Surroundings
from faas.runtime.reach import Reach
from tests.helpers.python_functions import PythonFunctions

REACH = Reach(variables={"REGION": "eu", "EMPTY": ""}, secrets={"TOKEN": "s3cret-value", "OTHER": "ŵ 😀"})
AT_TOP_LEVEL = "is read at top level, where an image is taken: read it in the handler"

READING = {
    "item": 'os.environ["TOKEN"]',
    "get": 'os.environ.get("TOKEN")',
    "get_with_default": 'os.environ.get("TOKEN", "x")',
    "getenv": 'os.getenv("TOKEN", "x")',
    "bytes": 'os.environb[b"TOKEN"]',
    "getenvb": 'os.getenvb(b"TOKEN")',
    "items": "list(os.environ.items())",
    "values": "list(os.environ.values())",
    "copy": "os.environ.copy()",
    "dict": "dict(os.environ)",
    "union": "os.environ | {}",
    "unpacked": "{**os.environ}",
    "repr": "repr(os.environ)",
    "pop": 'os.environ.pop("TOKEN")',
    "setdefault": 'os.environ.setdefault("TOKEN", "x")',
    "expandvars": 'os.path.expandvars("$TOKEN")',
}


async def test_python_function_sees_its_environment(python: PythonFunctions) -> None:
    source = "import os\nREGION = os.environ['REGION']\ndef handle(input): return [REGION, dict(os.environ)]\n"
    reach = Reach(variables={"REGION": "eu", "EMPTY": "", "PLACE": "ŵ 😀"})
    for _ in range(4):
        assert await python.call(source, reach=reach) == ["eu", {"REGION": "eu", "EMPTY": "", "PLACE": "ŵ 😀"}]


async def test_python_function_sees_nothing_of_the_servers_environment(
    python: PythonFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "x")
    source = "import os\ndef handle(input): return [dict(os.environ), os.getenv('OF_THE_SERVER'), os.getenv('PATH')]\n"
    assert await python.call(source) == [{}, None, None]


@pytest.mark.parametrize("reading", READING)
async def test_python_secret_is_there_in_calls_only(python: PythonFunctions, reading: str) -> None:
    source = f"import os\ndef handle(input): return repr({READING[reading]})\n"
    for _ in range(3):  # also in an instance that is kept
        assert "s3cret-value" in await python.call(source, reach=REACH)
    source = f"import os\nFOUND = {READING[reading]}\ndef handle(input): return 1\n"
    found = await python.diagnostics(source, Surroundings(REACH.variables, list(REACH.secrets)))
    assert AT_TOP_LEVEL in found
    assert "function.py:2:" in found


async def test_python_secrets_have_their_names_at_top_level(python: PythonFunctions) -> None:
    source = (
        "import os\nFOUND = ['TOKEN' in os.environ, 'NONE' in os.environ, sorted(os.environ), len(os.environ)]\n"
        "def handle(input): return [FOUND, sorted(os.environ), len(os.environ), os.environ['OTHER'], 'TOKEN' in os.environ]\n"
    )
    names = ["EMPTY", "OTHER", "REGION", "TOKEN"]
    expected = [[True, False, names, 4], names, 4, "ŵ 😀", True]
    assert await python.call(source, reach=REACH) == expected


async def test_python_variable_that_the_author_sets_goes_before_a_secret(python: PythonFunctions) -> None:
    source = (
        "import os\nos.environ['TOKEN'] = 'own'\nFOUND = os.environ['TOKEN']\ndel os.environ['OTHER']\n"
        "def handle(input):\n    os.environ['NEW'] = '1'\n    del os.environ['REGION']\n"
        "    return [FOUND, os.environ['TOKEN'], sorted(os.environ)]\n"
    )
    assert await python.call(source, reach=REACH) == ["own", "own", ["EMPTY", "NEW", "OTHER", "TOKEN"]]


async def test_python_secret_that_the_image_does_not_know_is_there_in_a_call(python: PythonFunctions) -> None:
    """The values of a call decide, whatever was said when the image was taken."""
    source = "import os\ndef handle(input): return dict(os.environ)\n"
    outcome = await python.outcome(source)
    assert outcome.output == b"{}"
    assert await python.call(source, reach=Reach(secrets={"LATER": "x"})) == {"LATER": "x"}


async def test_python_secret_does_not_outlive_its_call(python: PythonFunctions) -> None:
    source = "import os\ndef handle(input): return os.environ.get('TOKEN')\n"
    found = [await python.call(source, reach=Reach(secrets={"TOKEN": f"value {n}"})) for n in range(8)]
    assert found == [f"value {n}" for n in range(8)]


async def test_python_image_has_no_secret(python: PythonFunctions) -> None:
    """Not even of code that catches the error: the value is not there when an image is taken."""
    source = (
        "import os\ntry: FOUND = os.environ['TOKEN']\nexcept Exception as error: FOUND = repr(error)\n"
        "def handle(input): return [FOUND, os.environ['TOKEN']]\n"
    )
    image = await python.image(source, Surroundings({}, ["TOKEN"]))
    first, second = await python.call(source, reach=Reach(secrets={"TOKEN": "distinct-3f81"}))
    assert AT_TOP_LEVEL in first
    assert second == "distinct-3f81"
    assert b"distinct-3f81" not in image
