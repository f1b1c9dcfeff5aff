"""JSON is read once, strictly, and written once, canonically; digests are taken of those bytes and of nothing else.

Source: RFC 8785 (JSON Canonicalization Scheme), RFC 7493 (I-JSON).
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import rfc8785

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
LARGEST_INTEGER = 2**53 - 1

# From here up RFC 8785 writes an exponent; below it a whole number is written out in digits, as an integer.
_FIRST_WITH_EXPONENT = 1e21
# The smallest double, written without an exponent and with 17 digits, is shorter than this.
_LONGEST_NUMBER = 400
# Never fails once it has begun, so a body full of quotes costs one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotCanonical(ValueError):
    """The bytes or the value have no canonical form here. `code` is a reason code; `detail` quotes nothing."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


def parse(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of one JSON document, equal to what its canonical bytes parse to.

    A whole number is an int however it was written (1.0, 1e3), and minus zero is 0, as in the canonical bytes.
    Raises NotCanonical: too_large, too_deep, malformed_json, duplicate_key, number_not_representable, invalid_unicode.
    """
    if len(body) > max_bytes:
        raise NotCanonical("too_large", f"The body is larger than {max_bytes} bytes.")
    if is_deeper_than(body, max_depth):
        raise NotCanonical("too_deep", f"The document nests more than {max_depth} levels.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotCanonical("malformed_json", f"Not UTF-8 at byte {error.start}.") from None
    if text.startswith("\ufeff"):
        raise NotCanonical("malformed_json", "The body begins with a byte order mark.")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotCanonical("malformed_json", f"{error.msg} at character {error.pos}.") from None
    if _SURROGATE_ESCAPE.search(body):
        _refuse_lone_surrogates(value)
    return value


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 bytes of a value that is JSON. Raises NotCanonical for one that is not."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.IntegerDomainError, rfc8785.FloatDomainError):
        raise NotCanonical("number_not_representable", "A number has no exact double.") from None
    except RecursionError:
        raise NotCanonical("too_deep", "The value nests too deeply, or holds itself.") from None
    except ValueError as error:
        if isinstance(error, UnicodeError) or isinstance(error.__cause__, UnicodeError):
            raise NotCanonical("invalid_unicode", "A string holds a lone surrogate.") from None
        if isinstance(error, rfc8785.CanonicalizationError):
            raise NotCanonical("malformed_json", "The value is not JSON: its types or keys.") from None
        # An int of thousands of digits refuses to be quoted in the package's own message.
        raise NotCanonical("number_not_representable", "A number has no exact double.") from None


def digest(data: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def is_deeper_than(body: bytes, max_depth: int) -> bool:
    """True when brackets outside strings nest deeper. One pass, before any parser may recurse."""
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > max_depth:
                return True
        else:
            depth -= 1
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("duplicate_key", "An object names the same key twice.")
    return found


def _integer(text: str) -> int:
    # Longer than "-9007199254740991" is out of range, and int() refuses thousands of digits with an error of its own.
    if len(text) <= 17 and abs(value := int(text)) <= LARGEST_INTEGER:
        return value
    return _not_representable("An integer is beyond +-(2^53-1).")


def _number(text: str) -> float:
    if len(text) > _LONGEST_NUMBER:
        _not_representable("A number has too many digits.")
    value = float(text)
    try:
        is_exact = Decimal(text) == Decimal(repr(value))
    except ArithmeticError:
        is_exact = False
    if not is_exact:
        _not_representable("A number does not round-trip through a double.")
    if not value.is_integer() or abs(value) >= _FIRST_WITH_EXPONENT:
        return value
    if abs(value) > LARGEST_INTEGER:
        _not_representable("A whole number is beyond +-(2^53-1).")
    return int(value)


def _constant(text: str) -> NoReturn:
    _not_representable("NaN and Infinity are not JSON.")


def _not_representable(detail: str) -> NoReturn:
    raise NotCanonical("number_not_representable", detail + " Send money and long ids as strings.")


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("invalid_unicode", "A string holds a lone surrogate.") from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)
