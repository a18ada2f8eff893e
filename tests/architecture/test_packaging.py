"""The folder packaging/: it must not hide the library of that name, and what it names must exist."""

import ast
import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from bundle.parts import locked_requirements
from faas import settings
from faas.cli import _COMMANDS
from faas.settings import Settings
from faas.units import parse_duration

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
DOCKERFILE = (PACKAGING / "Dockerfile").read_text()
SETTINGS = {field.variable for field in settings.fields()}


def test_packaging_folder_does_not_hide_the_library() -> None:
    # pytest and hatchling import the library `packaging`, with the repository's root on their path.
    library = importlib.util.find_spec("packaging.version")
    assert library
    assert library.origin
    assert not Path(library.origin).is_relative_to(ROOT / "packaging")
    assert not (ROOT / "packaging" / "__init__.py").exists()
    assert importlib.util.find_spec("bundle.build")


def test_bundle_imports_only_what_make_dist_installs() -> None:
    installed = set()
    for lock in ("run", "dist"):
        installed |= {requirement.name for requirement in locked_requirements(ROOT / "requirements" / f"{lock}.lock")}
    imported = set()
    for file in (PACKAGING / "bundle").glob("[!w]*.py"):  # not wheel_hook.py: the build of the wheel imports it
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    packages = imported - sys.stdlib_module_names - {"bundle", "faas"}
    assert {"packaging", "elftools"} <= packages
    assert {{"elftools": "pyelftools"}.get(name, name) for name in packages} <= installed


def test_compose_files_name_existing_settings_and_publish_on_loopback_only() -> None:
    for name in ("compose.yaml", "compose.postgres.yaml"):
        services = _compose(name)["services"]
        replicas = [service for service in services.values() if service["image"] == "faas"]
        assert replicas, name
        for service in replicas:
            assert set(service.get("environment", {})) <= SETTINGS, name
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert parse_duration(service["stop_grace_period"]) > Settings().shutdown_grace
            assert (PACKAGING / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        for service in services.values():
            for port in service.get("ports", []):
                assert port.startswith("127.0.0.1:"), f"{name}: {port}"  # tokens would go over http


def test_compose_files_show_how_the_first_token_is_made() -> None:
    # In a container the server listens on all addresses, and does not start without a token.
    for name in ("compose.yaml", "compose.postgres.yaml"):
        shown = f"docker compose -f packaging/{name} run --rm (\\S+) token create admin --scope admin\n"
        for page in (name, "README.md"):
            (service,) = re.findall(shown, (PACKAGING / page).read_text())
            assert _compose(name)["services"][service]["image"] == "faas", page
        assert "FAAS_AUTH" not in (PACKAGING / name).read_text()
    assert "FAAS_AUTH" not in DOCKERFILE


def test_compose_file_keeps_the_embedded_database_in_its_only_volume() -> None:
    document = _compose("compose.yaml")
    (volume,) = document["volumes"]
    assert document["services"]["faas"]["volumes"] == [f"{volume}:{_image_environment()['FAAS_DATA_DIR']}"]


def test_compose_file_with_postgres_starts_two_replicas_on_a_healthy_database() -> None:
    services = _compose("compose.postgres.yaml")["services"]
    assert "healthcheck" in services["postgres"]
    replicas = [service for service in services.values() if service["image"] == "faas"]
    assert len(replicas) == 2
    for service in replicas:
        assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert service["environment"]["FAAS_DATABASE_URL"].startswith("postgresql://")
        assert not service.get("volumes")
        user, group = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, flags=re.MULTILINE)[0]
        home = _image_environment()["FAAS_DATA_DIR"]
        # The server reads its home folder (~/.postgresql); a tmpfs without an owner is root's, mode 700.
        assert f"{home}:uid={user},gid={group},mode=700" in service["tmpfs"]


def test_image_runs_as_a_numeric_user_with_one_volume() -> None:
    final = [line for line in DOCKERFILE.rpartition("\nFROM ")[2].splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", next(line for line in final if line.startswith("USER")))
    assert [line for line in final if line.startswith("VOLUME")] == [f"VOLUME {_image_environment()['FAAS_DATA_DIR']}"]
    assert json.loads(next(line for line in final if line.startswith("ENTRYPOINT")).partition(" ")[2])
    assert any(line.startswith("HEALTHCHECK ") for line in final)
    assert f"EXPOSE {_image_environment()['FAAS_PORT']}" in final


def test_image_environment_names_existing_settings() -> None:
    environment = _image_environment()
    assert environment["FAAS_HOST"] == "0.0.0.0"  # noqa: S104 - what is published decides who reaches it
    assert environment.keys() <= SETTINGS


async def test_image_health_check_follows_the_servers_answer() -> None:
    answers = [b"200 OK", b"503 Service Unavailable"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"GET /health ")
        writer.write(b"HTTP/1.1 " + answers.pop(0) + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await _health_check(port) == 0
        assert await _health_check(port) == 1
    assert await _health_check(port) == 1  # nothing listens


def test_service_starts_a_command_that_exists_with_existing_settings() -> None:
    service = _service()
    program, command = service["ExecStart"][0].split()
    assert program == "/usr/local/bin/faas"
    assert command in _COMMANDS
    variables = {word.partition("=")[0] for line in service["Environment"] for word in line.split()}
    assert variables - {"FAAS_CACHE_DIR", "HOME"} <= SETTINGS  # the former is the launcher's
    assert float(service["TimeoutStopSec"][0]) > Settings().shutdown_grace


def test_service_leaves_the_compilers_sandbox_its_system_calls() -> None:
    service = _service()
    allowed = " ".join(service["SystemCallFilter"]).split()
    assert {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(allowed)
    assert "MemoryDenyWriteExecute" not in service  # wasmtime and Node compile at run time
    for option in ("NoNewPrivileges", "DynamicUser", "PrivateTmp", "ProtectHome"):
        assert service[option] == ["yes"]
    assert service["ProtectSystem"] == ["strict"]


def _compose(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PACKAGING / name).read_text())
    return document


def _image_environment() -> dict[str, str]:
    lines = re.findall(r"^ENV (.+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in line.split())


def _service() -> dict[str, list[str]]:
    """The options of the unit's section [Service]; some are given more than once."""
    section = (PACKAGING / "faas.service").read_text().partition("[Service]\n")[2].partition("\n[")[0]
    options: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            options.setdefault(name, []).append(value)
    return options


async def _health_check(port: int) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(PACKAGING / "image" / "health.py"),
        env={"FAAS_PORT": str(port)}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()


def test_notices_list_no_part_under_the_gpl() -> None:
    """Such a part would bring its terms to dist/faas. The GCC runtime's exception is for this use."""
    rows = [line for line in (ROOT / "THIRD-PARTY-NOTICES.md").read_text().splitlines() if re.search(r"\bA?GPL-", line)]
    assert [row for row in rows if "WITH GCC-exception-3.1" not in row] == []
