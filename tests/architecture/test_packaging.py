"""The folder packaging/: it must not hide the library of that name, and what it names must exist."""

import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path

from faas import settings

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


def _image_environment() -> dict[str, str]:
    lines = re.findall(r"^ENV (.+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in line.split())


async def _health_check(port: int) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(PACKAGING / "image" / "health.py"),
        env={"FAAS_PORT": str(port)}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()
