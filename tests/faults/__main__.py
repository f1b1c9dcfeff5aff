"""Each fault is seeded into a copy of the repository, and the tests that must catch it are run there.

usage: python -m tests.faults [WORDS]  (only the faults in whose name this regular expression is found)

Caught is a fault of which a test fails: not one that can't be imported, and not one whose test is broken before it.
Two lanes, each with a copy and databases of its own. Ends non-zero where anything survives.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from tests.embedded_servers import set_environment, start_servers, stop_servers
from tests.faults.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
LANES = 2
# -x: one failure is enough. The order is as written: what a fault does must not depend on chance.
PYTEST = ("-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--reuse-db", "--no-header")


@dataclass
class Found:
    """What came of one run of pytest."""

    word: str
    detail: str = ""
    seconds: float = 0.0


@dataclass
class Lane:
    """A copy of the repository, with a PostgreSQL database and a Redis number of its own."""

    number: int
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, names.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        url = os.environ["DATABASE_URL"]
        path, question, rest = url.partition("?")
        base, _, name = path.rpartition("/")
        redis, _, _ = os.environ["REDIS_URL"].rpartition("/")
        self.environment = os.environ | {
            # pytest-django's own is test_<name>: that is all that is ever opened.
            "DATABASE_URL": f"{base}/{name}_lane_{self.number}{question}{rest}",
            "REDIS_URL": f"{redis}/{self.number + 1}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *tests: str) -> Found:
        report, began = self.folder / "report.xml", time.monotonic()
        report.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, *PYTEST, f"--junit-xml={report}", *tests],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        seconds = time.monotonic() - began
        if done.returncode == 0:
            return Found("passed", "", seconds)
        cases = ET.parse(report).getroot().iter("testcase") if report.exists() else ()
        kinds = [(child.tag, child.get("message") or "") for case in cases for child in case]
        failures = [message for tag, message in kinds if tag == "failure"]
        if done.returncode == 1 and failures and not any(tag == "error" for tag, _ in kinds):
            return Found("failed", failures[0], seconds)
        return Found("broken", (done.stdout + done.stderr)[-1500:], seconds)

    def try_fault(self, fault: Fault) -> Found:
        """The named tests' result with the fault in place; the copy is whole again afterwards."""
        whole = {edit.file: (self.folder / edit.file).read_text(encoding="utf-8") for edit in fault.edits}
        try:
            for edit in fault.edits:
                path = self.folder / edit.file
                text = path.read_text(encoding="utf-8")
                if text.count(edit.old) != 1:
                    return Found("misplaced", f"{edit.file} holds {text.count(edit.old)} times: {edit.old!r}")
                path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
            unreadable = self._names_nothing_unknown({edit.file for edit in fault.edits})
            return Found("broken", unreadable) if unreadable else self.run(*fault.tests)
        finally:
            for name, text in whole.items():
                (self.folder / name).write_text(text, encoding="utf-8")

    def _names_nothing_unknown(self, files: set[str]) -> str:
        """What ruff says of syntax and undefined names: a fault must be a program that runs."""
        ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F821", *sorted(files)]
        done = subprocess.run(ruff, cwd=self.folder, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def work(lane: Lane, waiting: queue.SimpleQueue[Fault], found: dict[str, Found]) -> None:
    while True:
        try:
            fault = waiting.get_nowait()
        except queue.Empty:
            return
        result = found[fault.id] = lane.try_fault(fault)
        caught = result.word == "failed"
        why = "" if caught else f"\n{result.detail}"
        sys.stdout.write(f"{'caught' if caught else result.word.upper():<9} {result.seconds:5.1f} s  {fault.id}{why}\n")
        sys.stdout.flush()


def at_once(lanes: list[Lane], act: object) -> None:
    threads = [threading.Thread(target=act, args=(lane,)) for lane in lanes]  # type: ignore[arg-type]  # a callable
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(words: str) -> int:
    chosen = [fault for fault in FAULTS if re.search(words, fault.id)]
    waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    for fault in chosen:
        waiting.put(fault)
    found: dict[str, Found] = {}
    tests = sorted({test for fault in chosen for test in fault.tests})
    whole: dict[int, Found] = {}
    set_environment()
    try:
        start_servers()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            lanes = [Lane(number, Path(folder) / str(number)) for number in range(LANES)]
            for lane in lanes:
                lane.prepare()
            # Without a fault they pass; each lane's database is made by the way.
            at_once(lanes, lambda lane: whole.update({lane.number: lane.run(*(tests[lane.number :: LANES] or tests))}))
            if any(result.word != "passed" for result in whole.values()):
                sys.stdout.write("\n".join(f"WITHOUT ANY FAULT: {r.word}\n{r.detail}" for r in whole.values()) + "\n")
                return 1
            at_once(lanes, lambda lane: work(lane, waiting, found))
    finally:
        stop_servers()
    survived = [fault.id for fault in chosen if found[fault.id].word != "failed"]
    sys.stdout.write(f"\n{len(chosen) - len(survived)} of {len(chosen)} faults were caught.\n")
    sys.stdout.writelines(f"NOT CAUGHT: {name} ({found[name].word})\n" for name in survived)
    return 1 if survived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
