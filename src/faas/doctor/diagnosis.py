"""Runs all groups of checks at once, each in a thread of its own, and waits no longer than TIMEOUT_SECONDS for any."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

import msgspec

from faas.doctor.finding import Finding, Status, fail
from faas.settings import Settings

TIMEOUT_SECONDS = 4.0  # the command as a whole takes 5 s at most

_REINSTALL = "install faas again, or set its environment up again with `make setup`"


class Group(msgspec.Struct, frozen=True):
    """Checks that share their probes: `faas.doctor.<module>.check(settings)` gives a finding of each that applies."""

    module: str
    checks: tuple[str, ...]

    def load(self) -> Callable[[Settings], Iterable[Finding]]:
        """Return the group's `check`. Raises what an import raises."""
        check: Callable[[Settings], Iterable[Finding]] = import_module(f"faas.doctor.{self.module}").check
        return check


GROUPS = (
    Group("installation", ("python", "packages", "wasmtime", "node", "javascript", "assemblyscript", "wizer")),
    Group("kernel", ("platform", "sandbox", "landlock", "seccomp", "privileges", "user-namespaces")),
    Group("database", ("postgres", "encoding", "pgmq", "privileges-in-database", "migrations", "connections",
                       "database-clock", "secrets")),
    Group("disk", ("data-directory", "native-code-cache", "unpacked-bundle")),
    Group("limits", ("open-files", "processes", "address-space", "stack")),
    Group("memory", ("memory",)),
    Group("clock", ("clock",)),
    Group("certificate", ("certificate",)),
    Group("access", ("access",)),
    Group("secret_key", ("secret-key",)),
    Group("port", ("port",)),
)  # fmt: skip


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings, in the order of GROUPS. `complete` is false when a group was given up: its thread still runs."""

    findings: tuple[Finding, ...]
    complete: bool

    @property
    def status(self) -> Status:
        """The worst status among the findings."""
        found = {finding.status for finding in self.findings}
        return "FAIL" if "FAIL" in found else "WARN" if "WARN" in found else "OK"


class _Run:
    """The execution of one group of checks."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.findings: list[Finding] = []
        self.done = threading.Event()

    def start(self, settings: Settings) -> None:
        """Import in this thread, because concurrent imports can deadlock; run in a new one."""
        try:
            check = self.group.load()
        except (ImportError, OSError, TypeError) as error:  # TypeError: a wasmtime of another layout
            self._end(fail(self.group.checks[0], f"a part of faas is missing: {_line(error)}", _REINSTALL))
            return
        try:
            # A daemon: the program can end while a file system or a name server keeps a check waiting.
            threading.Thread(target=self._work, args=(check, settings), daemon=True).start()
        except RuntimeError:  # the limit of processes is reached, which is what the limits' check then says
            self._work(check, settings)

    def _work(self, check: Callable[[Settings], Iterable[Finding]], settings: Settings) -> None:
        try:
            self.findings.extend(check(settings))
        except Exception as error:  # noqa: BLE001 - an unforeseen error must not discard the other findings
            self._end(fail(self.group.checks[0], f"the check itself failed: {_line(error)}", "report this as a bug"))
        else:
            self.done.set()

    def _end(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.done.set()

    def collect(self, timeout: float) -> list[Finding]:
        """Return what was found until `timeout` seconds from now."""
        if self.done.wait(max(0, timeout)):
            return self.findings
        return [*self.findings, self._late(self.findings)]

    def _late(self, so_far: Sequence[Finding]) -> Finding:
        found = {finding.check for finding in so_far}
        check = next((name for name in self.group.checks if name not in found), self.group.checks[0])
        return fail(
            check,
            f"no result within {TIMEOUT_SECONDS:g} s",
            "look for a disk, a name server or a database that does not answer; on a busy machine, try again",
        )


def diagnose(settings: Settings, groups: Sequence[Group] = GROUPS) -> Diagnosis:
    """Run the checks against `settings`. Blocks for TIMEOUT_SECONDS at most, beside the imports."""
    runs = [_Run(group) for group in groups]
    for run in runs:
        run.start(settings)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    findings = [finding for run in runs for finding in run.collect(deadline - time.monotonic())]
    return Diagnosis(tuple(findings), complete=all(run.done.is_set() for run in runs))


def _line(error: BaseException) -> str:
    """Return `error` in one line without secrets. For unexpected exceptions return only the type name."""
    text = " ".join(str(error).split()) if isinstance(error, ImportError | OSError) else ""
    return f"{type(error).__name__}: {text}".rstrip(": ")
