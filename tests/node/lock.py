"""`python -m tests.node.lock`: package-lock.json names versions and digests of what package.json asks for, no address.

npm writes where each package came from and who takes money for it; installing needs neither.
"""

import json
import subprocess
from pathlib import Path

from tests.node.installed import SOURCES, find_npm, find_program

ADDRESSES = ("resolved", "funding")


def without_addresses(lock: Path) -> None:
    """The file's packages keep what says which they are."""
    text = json.loads(lock.read_text(encoding="utf-8"))
    for package in text["packages"].values():
        for name in ADDRESSES:
            package.pop(name, None)
    lock.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    subprocess.run(
        [*find_npm(find_program()), "install", "--package-lock-only", "--ignore-scripts"], cwd=SOURCES, check=True
    )
    without_addresses(SOURCES / "package-lock.json")
