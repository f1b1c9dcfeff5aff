"""What names a configuration and a signal: the same facts give the same name, in any order of keys, on any machine.

Standard library only, for the SDK runs this very text: docs/adr/0023. Source: RFC 8785 (JSON Canonicalization Scheme).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Set
from typing import Any

LARGEST_INTEGER = 2**53 - 1
FINGERPRINT_DIGITS = 16
# From here up ECMAScript writes an exponent, and under the other one too.
_FIRST_WITH_EXPONENT = 1e21
_LAST_WITH_EXPONENT = 1e-6


def rules_hash(configuration: Mapping[str, Any]) -> str:
    """Lower-case hex SHA-256 of the configuration's canonical bytes. A set counts as its sorted list; a list keeps its
    order, and 1.0 is 1. Raises ValueError for what is not JSON.
    """
    return hashlib.sha256(canonical_text(configuration).encode()).hexdigest()


def fingerprint(provider: str, metric: str, stage: str, model: str, rules: str) -> str:
    """The first 16 hex of SHA-256 over the five, joined by colons. A colon inside one is encoded, so that two different
    fives never join to the same text.
    """
    joined = ":".join(part.replace("%", "%25").replace(":", "%3A") for part in (provider, metric, stage, model, rules))
    return hashlib.sha256(joined.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def canonical_text(value: Any) -> str:
    """The RFC 8785 text of a value that is JSON or holds sets of texts. Raises ValueError for one that is not."""
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, Set):
        return canonical_text(sorted(value, key=_utf16))
    if isinstance(value, list | tuple):
        return f"[{','.join(map(canonical_text, value))}]"
    raise ValueError(f"{type(value).__name__} is not JSON")


def _object(value: Mapping[Any, Any]) -> str:
    members = (f"{_quoted(name)}:{canonical_text(value[name])}" for name in sorted(value, key=_utf16))
    return f"{{{','.join(members)}}}"


def _utf16(text: object) -> bytes:
    """The order of RFC 8785, section 3.2.3: by UTF-16 code units, which is not the order of code points."""
    if not isinstance(text, str):
        raise ValueError("a name, and a member of a set, is text")
    return text.encode("utf-16-be", "surrogatepass")


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    try:
        quoted.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds a lone surrogate") from None
    return quoted


def _number(value: float) -> str:
    """As ECMAScript writes it. Python finds the same shortest digits, and lays them out differently."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("NaN and Infinity are not JSON")
        if not value.is_integer() or abs(value) >= _FIRST_WITH_EXPONENT:
            return _float(value)
    whole = int(value)
    if abs(whole) > LARGEST_INTEGER:
        raise ValueError("a whole number is beyond +-(2^53-1)")
    return str(whole)


def _float(value: float) -> str:
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    if _LAST_WITH_EXPONENT <= abs(value) < 1:
        sign, digits = ("-" if value < 0 else ""), mantissa.lstrip("-").replace(".", "")
        return f"{sign}0.{'0' * (-int(exponent) - 1)}{digits}"
    return f"{mantissa}e{int(exponent):+d}"
