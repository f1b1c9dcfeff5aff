"""A scenario as a program of its own: it says what happens, and where it can't go on, why, in one sentence."""

import argparse
import sys
from collections.abc import Callable, Sequence

from mcp_observatory import NotReachable, ObservatoryError

from observatory.demo.invoking import AnsweredOtherwise, Say


def main(about: str, run: Callable[[str, str, Say], object], given: Sequence[str] | None = None) -> int:
    """The exit code: 0 where the scenario was shown, 1 where a sentence on stderr says why it was not."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default="dev-key")
    options = parser.parse_args(given)
    try:
        run(options.url, options.key, _say)
    except AnsweredOtherwise as error:
        return _ended(f"The demonstration answered otherwise: {error}")
    except NotReachable as error:
        return _ended(f"There is no demonstration at {options.url}; start it with make demo. {error.detail}")
    except ObservatoryError as error:
        return _ended(f"The demonstration refused: {error}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _ended(sentence: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{sentence.rstrip('.')}.\n")
    return 1
