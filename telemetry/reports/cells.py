"""Text as a cell of a workbook may hold it: it stays text, all of it can be seen, and the file stays readable."""

from __future__ import annotations

from telemetry.visible import visible

# Excel's bound, in UTF-16 units.
MOST_UNITS = 32_767


def cell_text(text: str) -> str:
    """One cell's text: hidden and control characters are written out, and it is cut at Excel's bound.

    Source: ECMA-376 part 1, 18.4; XlsxWriter, `Worksheet._write_cell`.
    """
    text = cut(visible(text, block=True))
    # With constant_memory XlsxWriter writes what looks so as markup of its own, unescaped: formulas could be in it.
    return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text


def cut(text: str) -> str:
    # No character is more than two units; room for the mark above is left.
    if len(text) * 2 < MOST_UNITS:
        return text
    units = text.encode("utf-16-le")
    if len(units) < MOST_UNITS * 2:
        return text
    return units[: (MOST_UNITS - 2) * 2].decode("utf-16-le", "ignore") + "…"
