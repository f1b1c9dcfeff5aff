"""A transfer by two phases, against a running demonstration.

make demo                               # in one terminal
.venv/bin/python examples/transfer_funds.py    # in another
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from observatory.demo.program import main  # noqa: E402 (only the path set above leads to it)
from observatory.demo.two_phase_scenario import run  # noqa: E402 (only the path set above leads to it)

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", run))
