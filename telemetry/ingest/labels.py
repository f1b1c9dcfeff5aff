"""Texts of spans: names and ids. What is kept is masked, cut, and can be stored."""

import functools
import re
import unicodedata
from typing import Any

from telemetry.ingest.faults import SpanFault
from telemetry.models.span import OWN_SERVICE
from telemetry.redaction import redact_text
from telemetry.visible import only_seen

# The same few names come with every span; masking one costs more than all else that is done with it.
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 200
# PostgreSQL stores no NUL, and UTF-8 has no lone surrogates.
_NOT_STORED = re.compile("[\x00\ud800-\udfff]")
_HEX = re.compile(r"[0-9a-f]+")


def label(value: Any, field: str, limit: int) -> str:
    """The text, masked and cut to `limit`."""
    if not isinstance(value, str):
        raise SpanFault("wrong_type", field, "a text")
    return stored(value, limit)


def stored(text: str, limit: int) -> str:
    """As much of any text as may be stored."""
    return _remembered(text, limit) if len(text) <= _LONGEST_REMEMBERED else _masked(text, limit)


def _masked(text: str, limit: int) -> str:
    return redact_text(_NOT_STORED.sub("\ufffd", text), limit)


_remembered = functools.lru_cache(maxsize=_REMEMBERED)(_masked)


def short_text(value: Any, field: str, limit: int) -> str:
    """A text that identifies: cut, it would be another's, so one that is too long is refused."""
    if not isinstance(value, str):
        raise SpanFault("wrong_type", field, "a text")
    if len(value) > limit:
        raise SpanFault("too_long", field, f"at most {limit} characters")
    return stored(value, limit)


def service_name(value: Any, field: str, limit: int) -> str:
    """A name that is not our own, however it is written, hidden characters included."""
    name = label(value, field, limit).strip()
    if not name:
        raise SpanFault("missing", field)
    if only_seen(unicodedata.normalize("NFKC", name)).strip().casefold() == OWN_SERVICE:
        raise SpanFault("reserved_service", field)
    return name


def hex_id(value: Any, field: str, digits: int) -> str:
    if not isinstance(value, str):
        raise SpanFault("wrong_type", field, "a text")
    found = value.lower()
    if len(found) != digits or not _HEX.fullmatch(found) or not found.strip("0"):
        raise SpanFault("bad_id", field)
    return found


def word(value: Any, field: str, words: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise SpanFault("wrong_type", field, "a text")
    if value not in words:
        raise SpanFault("unknown_word", field, ", ".join(sorted(words)))
    return value
