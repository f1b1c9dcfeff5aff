"""A transfer by two phases, against a running demonstration.

make demo                               # in one terminal
.venv/bin/python examples/transfer_funds.py    # in another
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from observatory.demo.two_phase_scenario import run  # noqa: E402 (found only now)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default="dev-key")
    given = parser.parse_args()
    run(given.url, given.key, say)


if __name__ == "__main__":
    main()
