"""The WASI convention: standard streams, exit codes, clocks; and nothing else of the machine."""

import hashlib
import time

import pytest

from faas.runtime import Limits, Outcome, Runtime
from tests.helpers.guests import SHORT_LIMITS, run_module
from tests.helpers.support import core_wat, wat

# The input is read to 1024, and its second byte selects what the program does. At 0 and 16 are the buffers of fd_read and
# fd_write, at 32 results, at 64 a subscription of poll_oneoff, at 512 texts.
PROGRAM = r"""(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2 100)
  (data (i32.const 512) "first line\nsecond line\n") (data (i32.const 600) "/etc/passwd") (data (i32.const 700) "[1,2]\n")
  (func $print (param $stream i32) (param $start i32) (param $size i32)
    (i32.store (i32.const 16) (local.get $start)) (i32.store (i32.const 20) (local.get $size))
    (drop (call $write (local.get $stream) (i32.const 16) (i32.const 1) (i32.const 32))))
  (func $digits (param $value i32)  ;; two decimal digits
    (i32.store8 (i32.const 40) (i32.add (i32.const 49) (i32.div_u (local.get $value) (i32.const 100))))
    (i32.store8 (i32.const 41) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get $value) (i32.const 10)) (i32.const 10))))
    (i32.store8 (i32.const 42) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
    (call $print (i32.const 1) (i32.const 40) (i32.const 3)))
  (func $wait (param $nanoseconds i64) (result i32)
    (i64.store (i32.const 64) (i64.const 7)) (i64.store (i32.const 72) (i64.const 0))
    (i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (local.get $nanoseconds))
    (i64.store (i32.const 96) (i64.const 0)) (i32.store16 (i32.const 104) (i32.const 0))
    (call $poll (i32.const 64) (i32.const 160) (i32.const 1) (i32.const 32)))
  (func (export "_start") (local $command i32) (local $size i32)
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 60000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
    (local.set $size (i32.load (i32.const 32)))
    (local.set $command (i32.load8_u (i32.const 1025)))
    (if (i32.eq (local.get $command) (i32.const 101)) (then (call $print (i32.const 1) (i32.const 1024) (local.get $size))))  ;; e
    (if (i32.eq (local.get $command) (i32.const 108))  ;; l
      (then (call $print (i32.const 2) (i32.const 512) (i32.const 23)) (call $print (i32.const 1) (i32.const 700) (i32.const 6))))
    (if (i32.eq (local.get $command) (i32.const 120))  ;; x
      (then (call $print (i32.const 2) (i32.const 512) (i32.const 23)) (call $print (i32.const 1) (i32.const 700) (i32.const 6))
        (call $exit (i32.const 3))))
    (if (i32.eq (local.get $command) (i32.const 48)) (then (call $print (i32.const 1) (i32.const 700) (i32.const 6)) (call $exit (i32.const 0))))  ;; 0
    (if (i32.eq (local.get $command) (i32.const 113)) (then (call $exit (i32.const 4))))  ;; q
    (if (i32.eq (local.get $command) (i32.const 98))  ;; b
      (then (loop $more (call $print (i32.const 1) (i32.const 700) (i32.const 60000)) (br_if $more (i32.eqz (i32.const 0))))))
    (if (i32.eq (local.get $command) (i32.const 66))  ;; B
      (then (local.set $size (i32.const 0))
        (loop $more (call $print (i32.const 1) (i32.const 700) (i32.const 60000))
          (br_if $more (i32.lt_u (local.tee $size (i32.add (local.get $size) (i32.const 1))) (i32.const 20))))))
    (if (i32.eq (local.get $command) (i32.const 69))  ;; E
      (then (loop $more (call $print (i32.const 2) (i32.const 512) (i32.const 23))
        (br_if $more (i32.lt_u (local.tee $size (i32.add (local.get $size) (i32.const 1))) (i32.const 1500))))
        (call $print (i32.const 1) (i32.const 700) (i32.const 6))))
    (if (i32.eq (local.get $command) (i32.const 115)) (then (call $digits (call $wait (i64.const 60000000)))))  ;; s
    (if (i32.eq (local.get $command) (i32.const 83)) (then (call $digits (call $wait (i64.const 3600000000000)))))  ;; S
    (if (i32.eq (local.get $command) (i32.const 84)) (then (loop $ever (br $ever))))  ;; T
    (if (i32.eq (local.get $command) (i32.const 114))  ;; r
      (then (drop (call $random (i32.const 32) (i32.const 1))) (call $digits (i32.load8_u (i32.const 32)))))
    (if (i32.eq (local.get $command) (i32.const 118))  ;; v
      (then (drop (call $environ (i32.const 32) (i32.const 36))) (call $digits (i32.load (i32.const 32)))))
    (if (i32.eq (local.get $command) (i32.const 112)) (then (call $digits (call $prestat (i32.const 3) (i32.const 32)))))  ;; p
    (if (i32.eq (local.get $command) (i32.const 111))  ;; o
      (then (call $digits (call $open (i32.const 3) (i32.const 0) (i32.const 600) (i32.const 11) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))))
    (if (i32.eq (local.get $command) (i32.const 97)) (then (call $digits (call $accept (i32.const 3) (i32.const 0) (i32.const 32)))))  ;; a
    (if (i32.eq (local.get $command) (i32.const 80))  ;; P
      (then (call $digits (call $poll (i32.const 64) (i32.const -8) (i32.const 1) (i32.const 32)))))
    (if (i32.eq (local.get $command) (i32.const 81))  ;; Q
      (then (call $digits (call $poll (i32.const 64) (i32.const 160) (i32.const -1) (i32.const 32)))))
    (if (i32.eq (local.get $command) (i32.const 82))  ;; R
      (then (i32.store8 (i32.const 72) (i32.const 1)) (i32.store (i32.const 80) (i32.const 0))
        (drop (call $poll (i32.const 64) (i32.const 160) (i32.const 1) (i32.const 32)))
        (call $digits (i32.add (i32.load (i32.const 32)) (i32.load16_u (i32.const 168))))))
    (if (i32.eq (local.get $command) (i32.const 85)) (then unreachable))))"""


async def run(runtime: Runtime, command: str, rest: bytes = b"", limits: Limits | None = None) -> Outcome:
    return await run_module(runtime, wat(PROGRAM), b'"%s%s"' % (command.encode(), rest), limits=limits)


async def test_wasi_input_is_stdin_and_output_is_stdout(runtime: Runtime) -> None:
    assert await run(runtime, "e", b"cho") == Outcome(output=b'"echo"')
    assert await run(runtime, "e") == Outcome(output=b'"e"')  # nothing is left of the other input


async def test_wasi_stderr_is_the_log(runtime: Runtime) -> None:
    assert await run(runtime, "l") == Outcome(output=b"[1,2]", logs="first line\nsecond line")


async def test_wasi_log_has_the_limit_of_logs(runtime: Runtime) -> None:
    outcome = await run(runtime, "E")
    assert outcome.output == b"[1,2]"
    assert outcome.logs
    assert outcome.logs.endswith("… cut: the log limit is reached")
    assert len(outcome.logs) < 2100


async def test_wasi_exit_code_that_is_not_0_is_a_failure(runtime: Runtime) -> None:
    failed = await run(runtime, "x")
    assert failed == Outcome(error="exit code 3: first line\nsecond line", logs="first line\nsecond line")
    assert await run(runtime, "q") == Outcome(error="exit code 4")
    assert await run(runtime, "0") == Outcome(output=b"[1,2]")


async def test_wasi_program_without_output_fails(runtime: Runtime) -> None:
    expected = "the program wrote nothing to standard output, where its result is expected as JSON"
    assert await run(runtime, "-") == Outcome(error=expected)


async def test_wasi_output_has_the_limit_of_outputs(runtime: Runtime) -> None:
    """The program ignores that nothing more can be written."""
    assert (await run(runtime, "B")).error == "output limit of 1 MiB exceeded"


async def test_wasi_time_limit_holds_for_loops_and_sleeps(runtime: Runtime) -> None:
    began = time.monotonic()
    assert await run(runtime, "T", limits=SHORT_LIMITS) == Outcome(error="time limit of 300ms exceeded")
    assert await run(runtime, "b", limits=SHORT_LIMITS) == Outcome(error="time limit of 300ms exceeded")
    assert await run(runtime, "S", limits=SHORT_LIMITS) == Outcome(error="time limit of 300ms exceeded")
    assert time.monotonic() - began < 5


async def test_wasi_sleep_is_real(runtime: Runtime) -> None:
    began = time.monotonic()
    assert await run(runtime, "s") == Outcome(output=b"100")
    assert time.monotonic() - began > 0.06


async def test_wasi_guests_never_run_on_the_event_loop(runtime: Runtime) -> None:
    for _ in range(20):
        await run(runtime, "e")
    module = runtime._modules.get_cached(hashlib.sha256(wat(PROGRAM)).digest())
    assert module
    assert module.inline_policy.runs_inline is False


async def test_wasi_randomness_is_new_in_each_call(runtime: Runtime) -> None:
    assert len({(await run(runtime, "r")).output for _ in range(12)}) > 4


async def test_wasi_has_no_environment_files_or_sockets(runtime: Runtime) -> None:
    bad_file = b"108"
    assert (await run(runtime, "v")).output == b"100"
    for command in "poa":
        assert (await run(runtime, command)).output == bad_file


async def test_wasi_poll_checks_its_pointers(runtime: Runtime) -> None:
    assert (await run(runtime, "P")).output == b"121"  # fault
    assert (await run(runtime, "Q")).output == b"128"  # invalid


async def test_wasi_poll_says_that_a_standard_stream_is_ready(runtime: Runtime) -> None:
    assert (await run(runtime, "R")).output == b"101"  # one event, without an error


async def test_wasi_trap_is_described(runtime: Runtime) -> None:
    assert "unreachable code was reached" in ((await run(runtime, "U")).error or "")


async def test_wasi_start_function_may_call_wasi_before_there_is_an_input(runtime: Runtime) -> None:
    program = PROGRAM.replace(
        '(func (export "_start")',
        "(func $begin (drop (call $wait (i64.const 1)))"
        ' (call $print (i32.const 1) (i32.const 700) (i32.const 6))) (start $begin) (func (export "_start")',
        1,
    )
    assert await run_module(runtime, wat(program), b'"e"') == Outcome(output=b'"e"')


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (PROGRAM.replace('"fd_read"', '"fd_gone"'), "fd_gone"),
        (
            PROGRAM.replace('"fd_read" (func $read (param i32', '"fd_read" (func $read (param i64').replace(
                "(call $read (i32.const 0)", "(call $read (i64.const 0)"
            ),
            "fd_read",
        ),
        (
            PROGRAM.replace('"wasi_snapshot_preview1" "fd_prestat_get"', '"env" "fd_prestat_get"'),
            "import env.fd_prestat_get",
        ),
        (PROGRAM.replace('"_start"', '"start"'), "WASI (memory, _start)"),
        (PROGRAM.replace('(memory (export "memory")', "(memory"), "export memory memory is missing"),
        (PROGRAM.replace('(export "_start")', '(export "_start") (export "handle")'), "no known calling convention"),
    ],
)
async def test_wasi_module_that_cannot_run_is_refused(runtime: Runtime, module: str, reason: str) -> None:
    assert reason in (await runtime.check(wat(module)) or "")


async def test_wasi_is_the_contract_of_a_command(runtime: Runtime) -> None:
    assert await runtime.contract(wat(PROGRAM)) == "wasi"
    assert await runtime.contract(wat(core_wat())) == "json"
    assert await runtime.contract(wat("(module)")) is None


async def test_wasi_start_is_not_called_where_there_is_a_handle(runtime: Runtime) -> None:
    module = core_wat(extra='(func (export "_start") unreachable)')
    assert await run_module(runtime, module, b'"core"') == Outcome(output=b'"core"')
