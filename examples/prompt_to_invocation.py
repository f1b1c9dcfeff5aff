"""From ten prompts to ten invocations, against a running demonstration.

make demo                               # in one terminal
.venv/bin/python examples/prompt_to_invocation.py    # in another
"""

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

if __name__ == "__main__":
    # Only the path set above leads to them.
    program, scenario = import_module("observatory.demo.program"), import_module("observatory.demo.planner_scenario")
    sys.exit(program.main(__doc__ or "", scenario.run))
