"""Where an embedded server keeps its files, and as whom it runs.

PostgreSQL refuses to run as root. Started by root, the servers run as `nobody`: no account is added and no folder that
was there before changes its mode or owner. What `nobody` cannot reach is not used: programs are copied into the run
folder, and a data folder moves below /var/tmp, with a line on standard error that says where.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from observatory.embedded.keeper import GRACE_S, Identity
from observatory.embedded.programs import Unavailable

RUN_PREFIX = "/tmp/observatory-"  # noqa: S108 - the start of a name that mkdtemp completes, privately


def identity() -> Identity:
    """Who the servers run as: `nobody` where we are root, else ourselves (nothing to change)."""
    if os.geteuid() != 0:
        return Identity()
    nobody = pwd.getpwnam("nobody")
    return Identity(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])


def run_folder(name: str, who: Identity) -> Path:
    """A new private folder for sockets, logs and passing data. Below /tmp: a socket's path may have 103 bytes."""
    folder = Path(tempfile.mkdtemp(prefix=f"{RUN_PREFIX}{name}-", dir="/"))
    _give(folder, who)
    return folder


def private_folder(path: Path, who: Identity) -> Path:
    """A new folder that only the server's account may enter."""
    path.mkdir(mode=0o700)
    _give(path, who)
    return path


def usable_folder(programs: Path, run: Path, who: Identity) -> Path:
    """The programs' folder, or a copy in the run folder where the server's account cannot read it (37 MB, 0.1 s)."""
    if not who or _may_enter(programs, who):
        return programs
    if programs.name != "bin":  # a single program, with nothing beside it that it needs
        return Path(shutil.copytree(programs, run / "programs"))
    prefix = programs.parent
    package = prefix.parent
    shutil.copytree(prefix, run / package.name / prefix.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # shared libraries that a wheel keeps beside its package
    if libraries.is_dir():
        shutil.copytree(libraries, run / libraries.name, symlinks=True)
    return run / package.name / prefix.name / "bin"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that is kept between runs and used by one server at a time."""

    path: Path
    lock: int

    def release(self) -> None:
        """We let go of the lock; the server's processes, which share it, hold it until the last of them ends."""
        os.close(self.lock)


def data_folder(wanted: Path, who: Identity) -> DataFolder:
    """The folder exists, belongs to the server's account, and is ours alone.

    Waits for a server that is still stopping, as after `kill -9` of the last run.
    Raises: Unavailable, where it belongs to another account, cannot be made, or stays in use.
    """
    try:
        path = _reachable(wanted.absolute(), who)
        lock = _lock(path.with_name(f"{path.name}.lock"))
    except PermissionError as error:
        raise Unavailable(
            f"{error.filename} cannot be written by uid {os.geteuid()}; its owner can remove it."
        ) from error
    if not path.exists():
        private_folder(path, who)
    owner, we = path.stat().st_uid, who.get("user", os.geteuid())
    if owner != we:
        os.close(lock)
        raise Unavailable(
            f"{path} belongs to uid {owner}, and the server would run as uid {we}:"
            " run as the user who made it, or have that user remove it."
        )
    return DataFolder(path, lock)


def remove_data(wanted: Path) -> None:
    """Nothing is left of a data folder, wherever it was kept.

    Raises: Unavailable, where a server still uses it or another account owns it.
    """
    who = identity()
    if not _reachable(wanted.absolute(), who, announce=False).exists():
        return
    folder = data_folder(wanted, who)
    try:
        shutil.rmtree(folder.path)
    finally:
        folder.release()


def _reachable(path: Path, who: Identity, *, announce: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not who or _may_enter(path.parent, who):
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    base = Path("/var/tmp") / f"observatory-{os.geteuid()}-{digest}"  # noqa: S108 - owner and mode are checked below
    base.mkdir(mode=0o711, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Unavailable(f"{base} was made by somebody else; remove it.")
    if announce:
        print(f"The server's account cannot enter {path.parent}: data is kept in {base / path.name}.", file=sys.stderr)
    return base / path.name


def _may_enter(folder: Path, who: Identity) -> bool:
    """Asks the operating system, as the account itself: modes, access lists and mounts all count."""
    question = ["/bin/sh", "-c", 'test -r "$1" && test -x "$1"', "sh", str(folder)]
    return subprocess.run(question, cwd="/", check=False, **who).returncode == 0


def _give(folder: Path, who: Identity) -> None:
    if who:
        os.chown(folder, who["user"], who["group"])


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + GRACE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise Unavailable(f"Another run uses {path.with_suffix('')}; stop that one first.") from None
            time.sleep(0.05)
        else:
            return descriptor
