"""Checks of the folders: where the data lies, where native code is kept, and where the one-file bundle is unpacked."""

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import faas
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.shown import show_size
from faas.settings import Settings

# What Postgres takes: a new data directory has 41 MB; the write-ahead log grows to 1 GiB (max_wal_size); native code
# is kept up to 512 MiB.
FAIL_FREE_BYTES = 256 << 20
WARN_FREE_BYTES = 2 << 30

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs",
     "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"}
)  # fmt: skip
VOLATILE_FILE_SYSTEMS = {
    "tmpfs": "is lost when the machine restarts",
    "ramfs": "is lost when the machine restarts",
    "overlay": "is lost with the container",
}


def check(settings: Settings) -> Iterator[Finding]:
    """Check each folder. A data directory is needed for the embedded Postgres; else it only holds native code."""
    data_dir = settings.data_dir.expanduser().absolute()
    if not settings.database_url:
        yield check_data_directory(data_dir)
    yield check_native_code_cache(data_dir / "artifacts")
    bundle = _find_bundle()
    if bundle:
        yield _check_bundle(bundle)


def check_data_directory(data_dir: Path) -> Finding:
    """Check that the embedded Postgres can keep its data in `data_dir`."""
    name, elsewhere = "data-directory", "or choose another folder with --data-dir"
    problem = _find_obstacle(data_dir)
    if problem:
        return fail(name, problem, f"give this user a folder that it may write, {elsewhere}")
    cluster = data_dir / "postgres"
    wanted = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else wanted
    if owner != wanted:
        found = f"{cluster} belongs to {_user(owner)}; the embedded Postgres runs as {_user(wanted)} here"
        return fail(name, found, f"start faas as the user that made it, {elsewhere}")
    return judge_space(data_dir, _free_bytes(data_dir), file_system_of(data_dir))


def judge_space(data_dir: Path, free: int, kind: str | None) -> Finding:
    """Judge `free` bytes on a file system of this `kind`."""
    name, elsewhere = "data-directory", "or choose another folder with --data-dir"
    found = f"{data_dir}: {show_size(free)} free" + (f", {kind}" if kind else "")
    if free < FAIL_FREE_BYTES:
        return fail(name, f"{found}; at least {show_size(FAIL_FREE_BYTES)} are needed", f"free some space, {elsewhere}")
    if free < WARN_FREE_BYTES:
        action = f"free some space, {elsewhere}: when the disk is full, nothing can be deployed or executed"
        return warn(name, f"{found}; under {show_size(WARN_FREE_BYTES)}", action)
    if kind in NETWORK_FILE_SYSTEMS:
        action = f"use a local disk, where locks and fsync hold, {elsewhere}"
        return warn(name, f"{found}: a network file system", action)
    if kind in VOLATILE_FILE_SYSTEMS:
        action = f"mount a disk or a volume there, {elsewhere}"
        return warn(name, f"{found}: the data {VOLATILE_FILE_SYSTEMS[kind]}", action)
    return ok(name, found)


def check_native_code_cache(folder: Path) -> Finding:
    """Check the folder of native code. Without it, each start compiles to native code what it then calls."""
    name = "native-code-cache"
    problem = _find_obstacle(folder)
    if problem is None and folder.exists():
        found = folder.stat()
        if found.st_uid != os.geteuid():
            problem = f"{folder} belongs to {_user(found.st_uid)}, not to {_user(os.geteuid())}"
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            problem = f"{folder} can be written by others"
    if problem:
        action = (
            "give this user the folder alone (mode 0700); until then modules are precompiled again after each start"
        )
        return warn(name, problem, action)
    return ok(name, f"{folder}: {'in use' if folder.exists() else 'made when it is needed'}")


def _find_obstacle(folder: Path) -> str | None:
    """Return why `folder` cannot be written, or cannot be made; None when it can. Nothing is tried."""
    there = _nearest(folder)
    try:
        if not there.is_dir():
            return f"{there} is not a folder"
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return f"{there} is on a file system that is mounted read-only"
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            missing = "" if there == folder else f", and {folder} does not exist yet"
            return f"{_user(os.geteuid())} may not write {there}{missing}"
    except OSError as error:
        return f"{there}: {error.strerror}"
    return None


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the folder above it that exists. os.path returns False on errors; pathlib raises."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


def _free_bytes(folder: Path) -> int:
    """Return what this user may still write to the file system of `folder`."""
    found = os.statvfs(_nearest(folder))
    return found.f_bavail * found.f_frsize


def file_system_of(folder: Path, mounts: str | None = None) -> str | None:
    """Return the type of the file system that `folder` is on, from `mounts` (/proc/self/mountinfo)."""
    try:
        text = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    except OSError:
        return None
    place, best, kind = Path(os.path.realpath(folder)), -1, None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), before.split()[4]))
        if (point == place or point in place.parents) and len(
            point.parts
        ) >= best:  # a later mount hides an earlier one
            best, kind = len(point.parts), after.split()[0]
    return kind


def _find_bundle() -> Path | None:
    """Return the folder that the one-file executable was unpacked into; None in a checkout or a wheel."""
    packages = Path(faas.__file__).parent.parent
    return packages.parent if packages.name == "packages" and (packages.parent / "start.py").is_file() else None


def _check_bundle(bundle: Path) -> Finding:
    name, elsewhere = "unpacked-bundle", "or name another folder with FAAS_CACHE_DIR"
    problem = _find_obstacle(bundle.parent)
    if problem:  # this version is unpacked; the next one could not be
        return warn(name, problem, f"give this user the folder, {elsewhere}: the next version is unpacked there")
    return ok(name, f"{bundle}: {show_size(_free_bytes(bundle))} free")


def _user(number: int) -> str:
    """Return the name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
