"""process.env, and the env of fetch: variables everywhere, secrets in calls only."""

import pytest

from faas.compile.surroundings import Surroundings
from faas.runtime.reach import Reach
from tests.helpers.local_functions import LocalFunctions
from tests.helpers.web_calls import compile_error, deployed, get

BOTH = Surroundings(env={"REGION": "eu", "EMPTY": "", "TEXT": 'a"\n\u20ac'}, secrets=["KEY", "OTHER"])
VALUES = Reach(
    variables={"REGION": "eu", "EMPTY": "", "TEXT": 'a"\n\u20ac'}, secrets={"KEY": "sealed-1", "OTHER": "\u20ac"}
)
AT_TOP_LEVEL = "is read at top level, where an image is taken: read it in the handler"


async def test_variables_are_seen_at_top_level_and_in_calls(functions: LocalFunctions) -> None:
    source = "const top = { ...process.env };\nexport const handle = () => [top, process.env, 'REGION' in process.env, process.env.NONE ?? null];"
    env = {"REGION": "eu", "EMPTY": "", "TEXT": 'a"\n\u20ac'}
    function = await deployed(functions, source, Surroundings(env=env))
    assert await function.value() == [env, env, True, None]


async def test_environment_without_settings_is_empty(
    functions: LocalFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAAS_OF_THE_SERVER", "1")
    assert await functions.value("export const handle = () => process.env;") == {}


async def test_secrets_are_read_in_calls(functions: LocalFunctions) -> None:
    source = """export const handle = () => ({
      key: process.env.KEY, same: process.env.KEY === process.env.KEY, other: process.env["OTHER"],
      names: Object.keys(process.env), has: "KEY" in process.env, spread: { ...process.env },
    });"""
    function = await deployed(functions, source, BOTH, VALUES)
    for _ in range(3):
        assert await function.value() == {
            "key": "sealed-1",
            "same": True,
            "other": "\u20ac",
            "names": ["REGION", "EMPTY", "TEXT", "KEY", "OTHER"],
            "has": True,
            "spread": {**VALUES.variables, **VALUES.secrets},
        }


async def test_secret_of_a_later_call_is_the_later_value(functions: LocalFunctions) -> None:
    source = "export const handle = () => process.env.KEY ?? null;"
    function = await deployed(functions, source, Surroundings(secrets=["KEY"]))
    for number in range(6):
        later = type(function)(functions, function.binary, Reach(secrets={"KEY": f"value-{number}"}))
        assert await later.value() == f"value-{number}"
    assert await function.value() is None


async def test_env_of_fetch_has_variables_and_secrets(functions: LocalFunctions) -> None:
    source = "export default { fetch: (request, { REGION, KEY }) => Response.json([REGION, KEY]) };"
    function = await deployed(functions, source, BOTH, VALUES)
    assert await function.value(get()) == ["eu", "sealed-1"]
    assert await function.value(b"{}") == ["eu", "sealed-1"]


async def test_secret_may_be_replaced_in_a_call(functions: LocalFunctions) -> None:
    source = "export const handle = () => { process.env.KEY = 'mine'; delete process.env.OTHER; return [process.env.KEY, Object.keys(process.env)]; };"
    function = await deployed(functions, source, Surroundings(secrets=["KEY", "OTHER"]), VALUES)
    assert await function.value() == ["mine", ["KEY"]]
    assert await function.value() == ["mine", ["KEY"]]


async def test_logged_environment_does_not_show_secrets(functions: LocalFunctions) -> None:
    function = await deployed(functions, "export const handle = () => console.log(process.env);", BOTH, VALUES)
    outcome = await function.call()
    assert outcome.logs is not None
    assert "REGION: 'eu'" in outcome.logs
    assert "sealed" not in outcome.logs


@pytest.mark.parametrize(
    "statement",
    [
        "const key = process.env.KEY;",
        "const { KEY } = process.env;",
        "const all = { ...process.env };",
        "const all = Object.entries(process.env);",
        "const all = JSON.stringify(process.env);",
        "const all = structuredClone(process.env);",
        "await null; const key = process.env['KEY'];",
    ],
)
async def test_secret_read_at_top_level_does_not_compile(functions: LocalFunctions, statement: str) -> None:
    source = f"{statement}\nexport const handle = () => 1;"
    message = await compile_error(functions, source, BOTH)
    assert message.startswith(f"Error: the secret KEY {AT_TOP_LEVEL}")
    assert f"> 1 | {statement}" in message


async def test_names_of_secrets_may_be_read_at_top_level(functions: LocalFunctions) -> None:
    source = (
        "const names = Object.keys(process.env), has = 'KEY' in process.env;\nexport const handle = () => [names, has];"
    )
    assert await (await deployed(functions, source, BOTH)).value() == [
        ["REGION", "EMPTY", "TEXT", "KEY", "OTHER"],
        True,
    ]


async def test_names_of_properties_that_objects_have_are_variables(functions: LocalFunctions) -> None:
    names = ["constructor", "__proto__", "toString", "valueOf"]
    surroundings = Surroundings(env=dict.fromkeys(names[:2], "variable"), secrets=names[2:])
    reach = Reach(secrets=dict.fromkeys(names[2:], "secret"))
    source = f"export const handle = () => {names}.map((name) => process.env[name]);"
    assert await (await deployed(functions, source, surroundings, reach)).value() == ["variable"] * 2 + ["secret"] * 2


async def test_source_that_is_tried_twice_has_its_environment(functions: LocalFunctions) -> None:
    source = "const region = process.env.REGION;\nawait null;\nglobalThis.region = region;\nexports_or_not: {}\nexport const handle = () => region;"
    assert await (await deployed(functions, source, BOTH)).value() == "eu"
