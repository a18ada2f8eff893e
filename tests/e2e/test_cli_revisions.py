"""Tests of the commands for revisions, in processes of their own."""

import json
from pathlib import Path

import pytest

from tests.helpers.command_line import NO_VALUE, Faas
from tests.helpers.server import Server

BROKEN = "(module"


def answering(number: int) -> str:
    """Return a function that answers `{"answer": number}`."""
    output = f'{{"answer": {number}}}'
    stored = output.replace('"', '\\"')
    return (
        f'(module (memory (export "memory") 1) (data (i32.const 0) "{stored}")\n'
        '(func (export "alloc") (param i32) (result i32) i32.const 1024)\n'
        f'(func (export "handle") (param i32 i32) (result i64) i64.const {len(output)}))\n'
    )


@pytest.fixture
def faas(small_server: Server) -> Faas:
    return Faas(small_server)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f.wat"


async def deploy(faas: Faas, file: Path, source: str, *options: str, code: int = 0) -> str:
    """Deploy `source` and return the last line on stdout, or on stderr where the exit code is 1."""
    file.write_text(source)
    out, err = await faas("deploy", str(file), *options, code=code)
    return (out or err).splitlines()[-1]


async def answer(faas: Faas, name: str = "f") -> int:
    value: int = json.loads((await faas("invoke", name))[0])["answer"]
    return value


async def rows(faas: Faas, *arguments: str) -> list[list[str]]:
    """Return the words of each row of a table."""
    out, _ = await faas(*arguments)
    return [line.split() for line in out.splitlines()[2:]]


async def test_failed_deploy_leaves_the_live_revision_serving(faas: Faas, file: Path) -> None:
    assert await deploy(faas, file, BROKEN, code=1) == "f does not compile (revision 1)"
    assert (await rows(faas, "list"))[0][:6] == ["f", "FAILED", "wat", NO_VALUE, "1", "FAILED"]
    assert "revision     1, none is live" in (await faas("get", "f"))[0]
    assert await deploy(faas, file, answering(1)) == "f updated, revision 2: READY, live"
    assert (await rows(faas, "list"))[0][:5] == ["f", "READY", "wat", "2", NO_VALUE]
    assert await deploy(faas, file, BROKEN, code=1) == "f does not compile (revision 3); revision 2 still serves"
    assert await answer(faas) == 1
    assert (await rows(faas, "list"))[0][:6] == ["f", "READY", "wat", "2", "3", "FAILED"]
    assert "revision     2, live; the newest is 3 FAILED" in (await faas("get", "f"))[0]
    listed = await rows(faas, "revisions", "f")
    assert [row[:3] for row in listed] == [["3", "FAILED", NO_VALUE], ["2", "READY", "live"], ["1", "FAILED", NO_VALUE]]
    assert "expected" in " ".join(listed[0])
    assert "1" not in {row[2] for row in await rows(faas, "executions", "f")}
    _, err = await faas("promote", "f", "3", code=1)
    assert err == "faas: revision 3 of function 'f' is FAILED; only READY ones go live\n"


async def test_promote_and_rollback_change_what_callers_run(faas: Faas, file: Path) -> None:
    await deploy(faas, file, answering(1))
    waiting = await deploy(faas, file, answering(2), "--no-promote")
    assert waiting == "f updated, revision 2: READY, not live: revision 1 serves until `faas promote f 2`"
    assert (await answer(faas), await answer(faas, "f@2")) == (1, 2)
    assert "revision     2, not live; revision 1 serves" in (await faas("get", "f@2"))[0]
    assert (await rows(faas, "list"))[0][3:6] == ["1", "2", "READY"]
    assert (await faas("promote", "f", "2"))[0] == "f promoted, revision 2 is live\n"
    assert await answer(faas) == 2
    assert await deploy(faas, file, answering(3)) == "f updated, revision 3: READY, live"
    assert (await faas("rollback", "f"))[0] == "f rolled back, revision 2 is live\n"
    assert await answer(faas) == 2
    assert json.loads((await faas("rollback", "f", "--json"))[0])["revision"] == 1
    assert (await answer(faas), await answer(faas, "f@1")) == (1, 1)
    _, err = await faas("rollback", "f", code=1)
    assert err.startswith("faas: function 'f' has no earlier live revision to roll back to")
    # Deployed again, the source of a revision that was rolled back is a new revision.
    assert await deploy(faas, file, answering(3)) == "f updated, revision 4: READY, live"
    assert [row[2] for row in await rows(faas, "executions", "f")] == ["1", "1", "2", "2", "2", "1"]
    assert (await faas("get", "f@1", "--source"))[0] == answering(1)


async def test_first_ready_revision_goes_live_without_promotion(faas: Faas, file: Path) -> None:
    live = "READY, live (the first READY revision always is)"
    assert await deploy(faas, file, answering(1), "--no-promote") == f"f created, revision 1: {live}"
    assert await deploy(faas, file, answering(1), "--no-promote") == "f unchanged, revision 1: READY, live"


async def test_deploy_keeps_the_limits_of_the_newest_revision(faas: Faas, tmp_path: Path) -> None:
    # A name that no other function has had: the server would know the limits of that one until the first execution.
    file = tmp_path / "limited.wat"

    async def limits(name: str = "limited") -> object:
        return json.loads((await faas("get", name, "--json"))[0])["settings"].get("limits")

    await deploy(faas, file, answering(1), "--limit", "time=500ms", "--limit", "memory=64KiB")
    assert await limits() == {"time": 0.5, "memory": 65536}
    await deploy(faas, file, answering(1), "--limit", "concurrency=4", "--limit", "perSecond=0.01", "--no-promote")
    kept = {"time": 0.5, "memory": 65536, "concurrency": 4, "perSecond": 0.01}
    assert (await limits(), await limits("limited@2")) == ({"time": 0.5, "memory": 65536}, kept)
    await deploy(faas, file, answering(2))
    assert await limits() == kept
    assert "settings     time=500ms memory=64KiB concurrency=4 perSecond=0.01" in (await faas("get", "limited"))[0]
    await faas("invoke", "limited")
    _, err = await faas("invoke", "limited", code=1)
    assert "try again in " in err
    await deploy(faas, file, answering(2), "--limit", "perSecond=", "--limit", "concurrency=", "--limit", "memory=")
    assert await limits() == {"time": 0.5}
    assert (await faas("invoke", "limited"))[0]
    await deploy(faas, file, answering(2), "--limit", "time=")
    assert await limits() is None
    _, err = await faas("deploy", str(file), "--limit", "time=1h", code=1)
    assert err.startswith("faas: settings.limits.time: 3600 seconds is not accepted; at most 10 (10s)")
    _, err = await faas("deploy", str(file), "--limit", "cpu=1", code=2)
    assert "'cpu=1'; accepted is NAME=VALUE with a NAME of time, memory, concurrency, perSecond" in err


async def test_deploy_of_a_kept_revision_needs_no_waiting(faas: Faas, file: Path) -> None:
    await deploy(faas, file, answering(1))
    changed = await deploy(faas, file, answering(1), "--limit", "time=1s", "--no-wait")
    assert changed == "f updated, revision 2: READY, live"
    pending = await deploy(faas, file, answering(2), "--no-wait")
    assert pending == "f updated, revision 3: PENDING; revision 2 serves until it is READY"
    assert await deploy(faas, file, answering(2)) == "f unchanged, revision 3: READY, live"


async def test_diff_shows_settings_and_sources(faas: Faas, file: Path) -> None:
    await deploy(faas, file, answering(1))
    await deploy(faas, file, answering(2), "--limit", "time=5s")
    out, err = await faas("diff", "f", "1", "2")
    assert err == ""
    assert out.splitlines() == [
        "--- f@1 settings",
        "+++ f@2 settings",
        "@@ -1 +1,2 @@",
        " language=wat",
        "+time=5s",
        "--- f@1 source",
        "+++ f@2 source",
        "@@ -1,3 +1,3 @@",
        *(f"{sign}{answering(number).splitlines()[0]}" for sign, number in (("-", 1), ("+", 2))),
        *(f" {line}" for line in answering(1).splitlines()[1:]),
    ]
    assert json.loads((await faas("diff", "f", "2", "1", "--json"))[0])["settings"].endswith(
        " language=wat\n-time=5s\n"
    )
    same = "revisions 2 and 2 have the same source, language and settings\n"
    assert await faas("diff", "f", "2", "2") == ("", same)
    _, err = await faas("diff", "f", "1", "3", code=1)
    assert err == "faas: function 'f' has no revision 3, or no longer keeps it\n"


async def test_commands_for_revisions_refuse_what_they_do_not_accept(faas: Faas, file: Path) -> None:
    await deploy(faas, file, answering(1))
    for command in (("revisions", "f@1"), ("promote", "f@1", "1"), ("rollback", "f@1"), ("executions", "f@1")):
        _, err = await faas(*command, code=1)
        assert err == "faas: id: 'f@1' names a revision; a function is accepted here, without @revision\n"
    _, err = await faas("promote", "f", "0", code=2)
    assert "Invalid value for 'N'" in err
    _, err = await faas("promote", "f", code=2)
    assert "Missing argument 'N'" in err
    _, err = await faas("revisions", "g", code=1)
    assert err == "faas: no function has the id or name 'g'\n"
    for name, reason in (("f@2", "no revision 2"), ("f@x", "'x' is not the number of a revision")):
        assert reason in (await faas("invoke", name, code=1))[1]
    listed = json.loads((await faas("revisions", "f", "--json"))[0])
    assert [(item["revision"], item["live"], item["source"]) for item in listed] == [(1, True, answering(1))]
