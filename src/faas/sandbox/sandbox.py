"""The sandbox of a confined process: what it may use, and how it is started by `confine.py`."""

import asyncio
import marshal
import sys
from pathlib import Path

import msgspec

CONFINE_SCRIPT = Path(__file__).parent / "confine.py"

# What a dynamically linked program needs to start. None of these holds data of a user.
_SYSTEM_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A command and its permissions: `readable` files and folders, `memory` bytes, no network, no environment.

    `name` describes the command's work, for messages: "`name` exceeded the time limit of 60s". `memory_files` permits
    files that exist in memory only (memfd_create). `descriptor` is an open file that the process inherits.
    """

    name: str
    command: list[str]
    readable: list[Path]
    memory: int
    memory_files: bool = False
    descriptor: int | None = None

    def launch_command(self) -> list[str]:
        """Return the command line that confines its process and then executes `command`."""
        program = Path(self.command[0]).resolve()
        plan = {
            "command": [str(program), *self.command[1:]],
            "read": [*map(str, self.readable), str(program.parent)],  # its libraries may be beside it
            "execute": [str(program), *_SYSTEM_LIBRARIES],
            "devices": list(_DEVICES),
            "memory": self.memory,
            "memory_files": self.memory_files,
            "descriptor": self.descriptor,
        }
        return [sys.executable, "-I", "-S", str(CONFINE_SCRIPT), marshal.dumps(plan).hex()]

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process with pipes for stdin, stdout and stderr. It inherits nothing else but `descriptor`."""
        return await asyncio.create_subprocess_exec(
            *self.launch_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            pass_fds=() if self.descriptor is None else (self.descriptor,),
        )
