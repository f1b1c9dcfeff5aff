"""Log lines stay lines, without secrets: whatever a message holds, it can't start another one."""

import logging
import re

from telemetry.redaction import redact_text

LONGEST = 20_000
_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """The text with every line break and control character as a visible escape."""
    return _BREAKS.sub(lambda m: f"\\u{ord(m.group()):04x}", text)


class OneLine(logging.Formatter):
    """A record is one line, its traceback included. What looks like a secret or a person's is masked, in paths too."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(redact_text(super().format(record), LONGEST))
