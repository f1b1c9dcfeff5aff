"""Protobuf's wire format, as far as messages are counted before they are read. Source: protobuf.dev, "Encoding"."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


def count_below(body: bytes, path: tuple[int, ...], most: int) -> int:
    """How many messages stand along `path` (field numbers, outermost first), all levels together.

    Counts no further than one beyond `most`. Raises EOFError for bytes that are no message.
    """
    counted = 0
    waiting = [(0, len(body), 0)]
    while waiting:
        position, end, level = waiting.pop()
        while position < end:
            tag, position = _varint(body, position, end)
            kind = tag & 7
            if kind == _BYTES:
                length, position = _varint(body, position, end)
                if length > end - position:
                    raise EOFError
                if tag >> 3 == path[level]:
                    counted += 1
                    if counted > most:
                        return counted
                    if level + 1 < len(path):
                        waiting.append((position, position + length, level + 1))
                position += length
            elif kind == _VARINT:
                _, position = _varint(body, position, end)
            else:
                # Groups have not been written by anybody in twenty years, and OTLP has none.
                position += _WIDTHS.get(kind, end)
    return counted


def _varint(body: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(min(_LONGEST_VARINT, end - position)):
        byte = body[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise EOFError


def varint(value: int) -> bytes:
    """The bytes of a whole number from 0 up."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
