"""Sheets that are written row by row into a file, and go on in another sheet where one is full."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

import xlsxwriter

from telemetry.reports.cells import cell_text

# Excel's bound, without the header.
MOST_ROWS = 1_048_575
OPTIONS = {
    "constant_memory": True,
    # Cells are written by kind below; these hold should one ever be written otherwise.
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "use_zip64": True,
}


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    width: int


class Book:
    """A workbook in the making; `close` writes it to the file."""

    def __init__(self, out: IO[bytes], folder: str, made_at: dt.datetime) -> None:
        self._book: Any = xlsxwriter.Workbook(out, OPTIONS | {"tmpdir": folder})
        created = made_at.astimezone(dt.UTC).replace(tzinfo=None)
        self._book.set_properties({"title": "Sessions", "author": "MCP Observatory", "created": created})
        self.head = self._book.add_format({"bold": True, "bg_color": "#E5E7EB", "bottom": 1})
        self.title = self._book.add_format({"bold": True, "font_size": 14})
        self.section = self._book.add_format({"bold": True})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000", "align": "left"})
        # Under their headers, which are texts.
        self._number = self._book.add_format({"align": "left"})
        self._money = self._book.add_format({"num_format": "0.00000000", "align": "left"})

    def sheet(self, name: str, widths: Sequence[int]) -> Any:
        sheet = self._book.add_worksheet(name)
        for place, width in enumerate(widths):
            sheet.set_column(place, place, width)
        # Printed, it is as wide as one sheet of A3.
        sheet.set_landscape()
        sheet.set_paper(8)
        sheet.fit_to_pages(1, 0)
        return sheet

    def put(self, sheet: Any, row: int, values: Sequence[Any], look: Any = None) -> None:
        """The values of one row from its first column on: texts, numbers, times; None is an empty cell."""
        for column, value in enumerate(values):
            if isinstance(value, str):
                if value:
                    sheet.write_string(row, column, cell_text(value), look)
            elif isinstance(value, dt.datetime):
                sheet.write_datetime(row, column, value.astimezone(dt.UTC).replace(tzinfo=None), self._moment)
            elif isinstance(value, Decimal):
                sheet.write_number(row, column, float(value), self._money)
            elif value is not None:
                sheet.write_number(row, column, value, look or self._number)

    def close(self) -> None:
        self._book.close()


class Table:
    """Rows under a header. A full sheet is followed by another of the same name with its number, header and all."""

    def __init__(self, book: Book, name: str, columns: Sequence[Column], most_rows: int = MOST_ROWS) -> None:
        self._book, self._name, self._columns, self._most = book, name, columns, most_rows
        self._sheets = 0
        self._sheet: Any = None
        self._first = self._row = 0

    def go_on_in(self, sheet: Any, row: int) -> None:
        """The first part stands in this sheet, its header in this row."""
        self._sheets, self._sheet = 1, sheet
        self._begin(row)

    def add(self, values: Sequence[Any]) -> None:
        if self._sheet is None or self._row >= self._most:
            self._open()
        self._row += 1
        self._book.put(self._sheet, self._row, values)

    def end(self) -> None:
        """The last sheet is complete; one without rows has its header."""
        if self._sheet is None:
            self._open()
        self._finish()

    def _open(self) -> None:
        if self._sheet is not None:
            self._finish()
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} ({self._sheets})"
        self._sheet = self._book.sheet(name, [column.width for column in self._columns])
        self._sheet.freeze_panes(1, 0)
        self._sheet.repeat_rows(0)
        self._begin(0)

    def _begin(self, row: int) -> None:
        self._first = self._row = row
        self._book.put(self._sheet, row, [column.title for column in self._columns], self._book.head)

    def _finish(self) -> None:
        self._sheet.autofilter(self._first, 0, self._row, len(self._columns) - 1)
