"""The workbook: its columns are a contract, a hostile cell is text, and no row is lost."""

import datetime as dt
import io
import zipfile
from decimal import Decimal

import pytest
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from telemetry.reports import xlsx_report
from telemetry.reports.cells import MOST_UNITS, cell_text
from telemetry.reports.making import Making
from telemetry.reports.selection import Filters, Selection
from telemetry.reports.summary import summary_of
from tests.telemetry.reports.rows import MINUTE, MOMENT, SIGNAL, as_book, details, session, step, written

COLUMNS = [
    *("Session ID", "Step ID", "Role", "Channel", "Tool Name", "Decision", "Metrics", "Violations"),
    *("Reused Fingerprints", "Reason", "Rule", "Agent", "Model", "Began At", "Input Text", "Output Text", "Trace ID"),
]
HOSTILE = [
    "=1+1",
    '=HYPERLINK("http://example.com","x")',
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "{=1+1}",
    "http://example.com/",
    "mailto:x",
    "file:///etc/passwd",
    "1234",
    "<r><t>x</t></r>",
    '<r></is></c><c r="A9" t="str"><f>1+1</f><v>2</v></c><c t="inlineStr"><is></r>',
    "</t></is></c>",
    "_x0041_",
    "\x00\x01\x1f\x7f\x85",
    "\ud800 \udfff",
    "\ufffe\uffff",
    "\u202ereversed",
    "a" * 40_000,
    "\U0001f600" * 40_000,
]


@pytest.mark.django_db
def test_the_columns_of_a_step_stay():
    step(
        session(),
        7,
        guardrail_signals=[
            SIGNAL,
            SIGNAL | {"violated": False},
            SIGNAL | {"score": None, "kinds": {}, "reason": "gone"},
        ],
        reused_fingerprints=["ab" * 8, "cd" * 8],
    )
    book = as_book()
    assert book.sheetnames == ["MCP_Details", "Summary"]
    sheet = book["MCP_Details"]
    assert [cell.value for cell in sheet[1]] == COLUMNS
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:Q2")
    assert all(sheet.column_dimensions[letter].width > 8 for letter in "ABCDEFGHIJKLMNOPQ")
    (row,) = details(book)
    assert row == {
        "Session ID": "demo_session",
        "Step ID": "step_7",
        "Role": "assistant",
        "Channel": "llm_to_tool",
        "Tool Name": "search_customer",
        "Decision": "ok",
        "Metrics": "latency_ms=150.5; tokens_in=10; tokens_out=20; cost_est=0.001",
        "Violations": "pii in input: email x2, phone (0.95 over 0); pii in input: gone (no score)",
        "Reused Fingerprints": f"{'ab' * 8}, {'cd' * 8}",
        "Reason": "allowed",
        "Rule": "rule 1",
        "Agent": "billing-agent",
        "Model": "gpt-4o",
        "Began At": dt.datetime(2026, 11, 21, 14, 7),
        "Input Text": "Search for ACME",
        "Output Text": "one customer",
        "Trace ID": f"{7:032x}",
    }


@pytest.mark.django_db
def test_the_metrics_of_a_step_are_plain_numbers():
    one = session()
    told = [
        xlsx_report.metrics(step(one, 1, latency_us=0, cost_est=None)),
        xlsx_report.metrics(step(one, 2, latency_us=100_000_000, cost_est=Decimal("0.00000001"))),
        xlsx_report.metrics(step(one, 3, latency_us=1, cost_est=Decimal(0))),
    ]
    assert [text.partition("; ")[0] for text in told] == ["latency_ms=0", "latency_ms=100000", "latency_ms=0.001"]
    assert [text.rpartition("; ")[2] for text in told] == ["cost_est=unknown", "cost_est=0.00000001", "cost_est=0"]


@pytest.mark.django_db
def test_an_error_stands_where_an_output_would():
    step(session(), output_text="", error="no such customer", decision="error", reason="tool_error")
    assert details(as_book())[0]["Output Text"] == "no such customer"


@pytest.mark.django_db
def test_the_summary_adds_up():
    first = session("first", total_steps=2, steps_begun=2, total_latency_us=301_000, total_cost_est=Decimal("0.002"))
    session("second", agent="other", agent_id=2, created_at=MOMENT + MINUTE, ended_at=MOMENT + MINUTE, status="closed")
    step(first, 1)
    step(first, 2, decision="denied_policy", reason="denied_policy", violations=3)
    step(first, 3, selected_tool="", decision="", ended_at=None)
    sheet = as_book(Selection(Filters.from_json({"from": "2026-11-21T00:00:00Z"})))["Summary"]
    rows = [tuple(value for value in row if value is not None) for row in sheet.iter_rows(values_only=True)]
    facts = {row[0]: row[1] for row in rows[:16] if len(row) == 2}
    assert facts == {
        "Made at (UTC)": dt.datetime(2026, 11, 21, 14, 0),
        "Made by": "dora",
        "Filter: session": "any",
        "Filter: agent": "any",
        "Filter: from": "2026-11-21T00:00:00Z",
        "Filter: to": "any",
        "Sessions": 2,
        "Steps": 3,
        "Steps not ended": 1,
        "Latency ms": 451.5,
        "Tokens in": 30,
        "Tokens out": 60,
        "Cost est USD": 0.003,
        "Violations": 3,
    }
    assert ("search_customer", 2, 1, 1, 301, 20, 40, 0.002, 3) in rows
    assert rows[rows.index(("Decision", "Steps")) :][1:3] == [("denied_policy", 1), ("ok", 1)]
    sessions = rows[rows.index(("By session",)) + 1 :]
    assert sessions[0][:5] == ("Session ID", "Agent", "Model", "Status", "Steps")
    assert [row[:6] for row in sessions[1:]] == [
        ("first", "billing-agent", "gpt-4o", "open", 2, 301),
        ("second", "other", "gpt-4o", "closed", 0, 0),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=[str(place) for place in range(len(HOSTILE))])
def test_a_cell_stays_text_that_a_workbook_can_hold(text):
    shown = cell_text(text)
    assert shown
    assert len(shown.encode("utf-16-le")) // 2 <= MOST_UNITS
    assert not (shown.startswith("<r>") and shown.endswith("</r>"))
    assert all(character.isprintable() or character == "\n" for character in shown)
    if len(text) > MOST_UNITS:
        assert shown.endswith("…")


@pytest.mark.django_db
def test_hostile_cells_are_text_without_formula_or_link():
    # A step's row can't hold NUL or lone halves of characters; whatever else can be there is there.
    words = [text[:200] for text in HOSTILE if "\x00" not in text and "\ud800" not in text]
    one = session()
    for number, text in enumerate(words, start=1):
        step(one, number, input_text=text, output_text=text, rule=text[:120], selected_tool=text[:64])
    raw = written("xlsx")
    book = load_workbook(io.BytesIO(raw))
    for sheet in book.worksheets:
        assert sheet._hyperlinks == []
        for row in sheet.iter_rows():
            assert all(cell.data_type in ("s", "n", "d", "inlineStr") for cell in row if cell.value is not None)
            assert all(cell.hyperlink is None for cell in row)
    told = [unescape(row["Input Text"]) for row in details(book)]
    assert told == [cell_text(text) for text in words]
    archive = zipfile.ZipFile(io.BytesIO(raw))
    for name in archive.namelist():
        text = archive.read(name).decode()
        assert "<f>" not in text, name
        assert "<hyperlink" not in text, name
        assert "calcChain" not in name


@pytest.mark.django_db
def test_rows_beyond_a_sheets_bound_go_on_in_another():
    for name in ("first", "second"):
        one = session(name, created_at=MOMENT if name == "first" else MOMENT + MINUTE)
        for number in range(1, 5):
            step(one, number)
    out = io.BytesIO()
    heard = []
    making = Making(Selection(), "dora", MOMENT)
    xlsx_report.write_xlsx(making, summary_of(making.selection), out, heard.append, most_rows=3)
    book = load_workbook(io.BytesIO(out.getvalue()))
    assert book.sheetnames[:3] == ["MCP_Details", "MCP_Details (2)", "MCP_Details (3)"]
    assert [sheet.max_row for sheet in book.worksheets[:3]] == [4, 4, 3]
    for sheet in book.worksheets[:3]:
        assert [cell.value for cell in sheet[1]] == COLUMNS
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == f"A1:Q{sheet.max_row}"
    told = [(row["Session ID"], row["Step ID"]) for row in details(book)]
    assert told == [(name, f"step_{number}") for name in ("first", "second") for number in range(1, 5)]
    assert heard == list(range(1, 9))


@pytest.mark.django_db
def test_a_report_of_nothing_has_its_headers():
    book = as_book()
    assert [cell.value for cell in book["MCP_Details"][1]] == COLUMNS
    assert book["MCP_Details"].max_row == 1
