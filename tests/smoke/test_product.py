"""What an operator does with the one file, on a machine with nothing else on it: as root and as an ordinary user."""

import csv
import json
import time
from collections.abc import Callable

import pytest

from tests.smoke.enclosure import HOMES, Enclosure
from tests.smoke.process import START_TIMES, Faas, finish

# From the start to the first answer, on an idle machine.
FIRST_START_SECONDS, LATER_START_SECONDS = 8.0, 3.0
BUSY_MACHINE_FACTOR = 5

# Afterwards revision 1 is live again, also after a restart.
DEPLOYS = (
    (("deploy", "/opt/examples/hello.ts"), "hello created, revision 1: READY, live"),
    (("deploy", "/opt/examples/echo.wat", "--name", "hello"), "hello updated, revision 2: READY, live"),
    (("rollback", "hello"), "hello rolled back, revision 1 is live"),
)

# Where the file may leave something: its cache and its data, by default.
PLACES = {"root": {"/var/cache/faas", "/var/lib/faas"}, "nobody": {"/home/user/.cache", "/home/user/.local"}}


@pytest.mark.parametrize("user", HOMES)
def test_dist_serves_compiles_and_executes(new_machine: Callable[..., Enclosure], user: str) -> None:
    machine = new_machine(disk=True)
    for name, limit in (("first", FIRST_START_SECONDS), ("later", LATER_START_SECONDS)):
        began = time.monotonic()
        with Faas(machine.start(user, "serve", "--port", "0", one_stream=True)) as server:
            assert json.loads(machine.fetch(f"{server.url}/health"))["status"] == "UP"
            took = time.monotonic() - began
            START_TIMES.append(f"{name} start as {user}, to the first answer: {took:.1f} s (aim: {limit:.0f} s)")
            assert took < limit * BUSY_MACHINE_FACTOR
            assert any("unpacking" in line for line in server.said) == (name == "first")

            if name == "first":
                for command, printed in DEPLOYS:
                    out, _ = finish(machine.start(user, *command, environment={"FAAS_URL": server.url}))
                    assert printed in out
            out, _ = finish(
                machine.start(
                    user, "invoke", "hello", "--input", '{"name": "you"}', environment={"FAAS_URL": server.url}
                )
            )
            assert json.loads(out) == {"greeting": "Hello, you!"}
            assert b"SwaggerUI" in machine.fetch(f"{server.url}/schema/swagger-ui-bundle.js")
    assert machine.left() == PLACES[user]


@pytest.mark.parametrize("user", HOMES)
def test_dist_maps_a_table_in_the_mock_foundry(new_machine: Callable[..., Enclosure], user: str) -> None:
    machine = new_machine()
    home = HOMES[user]
    arguments = (
        "--input",
        "/opt/examples/compute-module/emails.csv",
        "--output",
        f"{home}/enriched.csv",
        "--enricher",
        "static",
    )
    finish(machine.start(user, "pipeline", "local", *arguments))
    rows = list(csv.DictReader((machine.root / home[1:] / "enriched.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "ok", "ok"]

    folders = ("--input-dir", "/opt/examples/compute-module/foundry/inputs", "--upload-dir", f"{home}/uploads")
    with Faas(machine.start(user, "mock-foundry", "--addr", "127.0.0.1:0", *folders, one_stream=True)) as stand_in:
        assert json.loads(machine.fetch(f"{stand_in.url}/__debug/calls")) == []
    assert machine.left() - PLACES[user] - {f"{home}/uploads"} == {f"{home}/enriched.csv"}


def test_dist_reports_versions_and_exit_codes(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    out, _ = finish(machine.start("nobody", "--version"))
    name, *parts = out.splitlines()
    assert name.startswith("faas ")
    assert "(commit " in name
    assert {"Python", "wasmtime", "Postgres", "pgmq", "Node", "AssemblyScript", "json-as"} <= {
        part.split()[0] for part in parts
    }
    assert "does not start" not in out
    finish(machine.start("nobody", "no-such-command"), code=2)
    finish(machine.start("nobody", "list", "--url", "http://127.0.0.1:9"), code=1)


def test_root_cache_may_be_unreachable_for_other_users(new_machine: Callable[..., Enclosure]) -> None:
    machine = new_machine()
    elsewhere = {"FAAS_CACHE_DIR": "/root/cache", "FAAS_DATA_DIR": "/root/data"}
    with Faas(machine.start("root", "serve", "--port", "0", one_stream=True, environment=elsewhere)) as server:
        command = ("deploy", "/opt/examples/sum.as.ts")
        out, _ = finish(machine.start("root", *command, environment={"FAAS_URL": server.url, **elsewhere}))
        assert "READY" in out
    assert machine.left() == {"/root/cache", "/root/data", "/var/cache/faas"}  # a copy of Postgres, for user nobody
