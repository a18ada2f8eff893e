"""What a confined process may use: what `confine.py` is asked to do before it becomes the program."""

import asyncio
import marshal
import sys
from pathlib import Path

import msgspec

CONFINE = Path(__file__).parent / "confine.py"

# What a dynamically linked program needs to start; there is nothing of a user's in there.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A command and all that it may use: `readable` files and folders, `memory` bytes, no network, no environment.

    `name` is what the command does, for messages: "`name` exceeded the time limit of 60s". `memory_files`: it may make
    files that exist in memory only (memfd_create).
    """

    name: str
    command: list[str]
    readable: list[Path]
    memory: int
    memory_files: bool = False

    def launcher(self) -> list[str]:
        """The command line that confines itself and then becomes `command`."""
        program = Path(self.command[0]).resolve()
        plan = {
            "command": [str(program), *self.command[1:]],
            "read": [*map(str, self.readable), str(program.parent)],  # libraries may lie beside it
            "execute": [str(program), *_SYSTEM],
            "devices": list(_DEVICES),
            "memory": self.memory,
            "memory_files": self.memory_files,
        }
        return [sys.executable, "-I", "-S", str(CONFINE), marshal.dumps(plan).hex()]

    async def start(self) -> asyncio.subprocess.Process:
        """Start it, with pipes for input, output and errors, and nothing else of ours."""
        return await asyncio.create_subprocess_exec(
            *self.launcher(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
        )
