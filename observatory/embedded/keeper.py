"""A child process that outlives its parent by seconds at most, even where the parent dies by SIGKILL.

Two halves. `Kept` is the parent's: it starts this file as a script, the keeper, and holds the other end of its standard
input. `main` is the keeper's: it starts the command and stops it once standard input ends, which the operating system
brings about however the parent dies. No pid files and no prctl, so Linux and macOS alike. The keeper leads a session of
its own: a signal to the parent's process group (Ctrl-C, `timeout`, a container's stop) does not reach it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

GRACE_S = 20.0


class Identity(TypedDict, total=False):
    """Keyword arguments of `subprocess` that change who the process is; empty where nothing changes."""

    user: int
    group: int
    extra_groups: list[int]


class Ended(RuntimeError):
    """A kept command ended, or took too long, before it was ready; the text is the end of its log."""


class Kept:
    """A running command under a keeper."""

    def __init__(  # noqa: PLR0913 - each is one property of a process, and all but the first have a default
        self,
        command: Sequence[str | Path],
        *,
        identity: Identity | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        log: Path | None = None,
        remove: Path | None = None,
        held: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """The command has been started and holds the `held` file descriptors; stopping it deletes `remove`."""
        options = ["--signal", stop_signal.name]
        if identity:
            options += ["--identity", str(identity["user"]), str(identity["group"])]
        if remove:
            options += ["--remove", str(remove)]
        for descriptor in held:
            options += ["--held", str(descriptor)]
        self._log = log
        self._remove = remove
        output = log.open("ab") if log else None
        try:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *options, "--", *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                pass_fds=held,
                start_new_session=True,
                env=env,
            )
        finally:
            if output:
                output.close()

    def exit_code(self) -> int | None:
        """The command's exit code, or None while it runs."""
        return self._keeper.poll()

    def wait(self) -> int:
        """The command has ended by itself; its exit code."""
        code = self._keeper.wait()
        self.stop()
        return code

    def wait_until(self, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """The command runs and is ready.

        Raises: Ended, and the command has been stopped.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code() is not None or time.monotonic() > deadline:
                said = self.log_tail()
                self.stop()
                raise Ended(said)
            time.sleep(0.01)

    def log_tail(self, length: int = 2000) -> str:
        """The end of what the command wrote to its log."""
        return self._log.read_text(errors="replace")[-length:].strip() if self._log else ""

    def end(self) -> None:
        """The command is told to end, and has GRACE_S for it; `stop` waits. Several that end at once take no longer."""
        if self._keeper.stdin and not self._keeper.stdin.closed:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """The command has ended and what was to be removed is gone. A second call has no effect."""
        self.end()
        self._keeper.wait(GRACE_S + 10)
        if self._remove:
            shutil.rmtree(self._remove, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """The command has ended, and with it the keeper's work; the command's exit code."""
    parser = argparse.ArgumentParser(description="Run a command until it ends or standard input does.")
    parser.add_argument("--signal", default="SIGTERM")
    parser.add_argument("--identity", nargs=2, type=int, metavar=("UID", "GID"))
    parser.add_argument("--remove", type=Path)
    parser.add_argument("--held", type=int, action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    identity = Identity()
    if options.identity:
        user, group = options.identity
        identity = Identity(user=user, group=group, extra_groups=[])
    child = subprocess.Popen(
        options.command, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=options.held, **identity
    )

    def stop(*_: object) -> None:
        child.send_signal(signal.Signals[options.signal])

    parent_is_gone = threading.Event()

    def follow_parent() -> None:
        while os.read(0, 4096):
            pass
        parent_is_gone.set()
        stop()
        time.sleep(GRACE_S)
        os.killpg(child.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=follow_parent, daemon=True).start()
    code = child.wait()
    if options.remove and parent_is_gone.is_set():  # else the parent may still want to read the log
        shutil.rmtree(options.remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
