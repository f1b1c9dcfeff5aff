"""The report as a workbook: `MCP_Details` has a row for each step, `Summary` what they add up to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import IO, Any

from telemetry.models import Session, Step
from telemetry.reports.making import Making
from telemetry.reports.masking import masked, masked_text
from telemetry.reports.rows import step_row
from telemetry.reports.selection import FILTERS
from telemetry.reports.summary import Summary, Tally
from telemetry.reports.workbook import MOST_ROWS, Book, Column, Table

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DETAILS, SUMMARY = "MCP_Details", "Summary"
# The first nine are the contract with whoever reads these files by program.
COLUMNS = (
    Column("Session ID", 26),
    Column("Step ID", 10),
    Column("Role", 10),
    Column("Channel", 12),
    Column("Tool Name", 26),
    Column("Decision", 14),
    Column("Metrics", 60),
    Column("Violations", 34),
    Column("Reused Fingerprints", 20),
    Column("Reason", 18),
    Column("Rule", 20),
    Column("Agent", 20),
    Column("Model", 16),
    Column("Began At", 23),
    Column("Input Text", 50),
    Column("Output Text", 50),
    Column("Trace ID", 34),
)
_BY_TOOL = ("Tool", "Steps", "OK", "Not OK", "Latency ms", "Tokens in", "Tokens out", "Cost est USD", "Violations")
_BY_SESSION = (
    Column("Session ID", 26),
    Column("Agent", 24),
    Column("Model", 16),
    Column("Status", 12),
    Column("Steps", 12),
    Column("Latency ms", 12),
    Column("Tokens in", 12),
    Column("Tokens out", 12),
    Column("Cost est USD", 14),
    Column("Violations", 12),
    Column("Began At", 23),
    Column("Ended At", 23),
    Column("Rules Hash", 66),
)


def write_xlsx(
    making: Making, summary: Summary, out: IO[bytes], told: Callable[[int], None], most_rows: int = MOST_ROWS
) -> None:
    """The whole report is written. `told` hears how many steps are; packing follows the last."""
    with TemporaryDirectory(prefix="report-") as folder:
        book = Book(out, folder, making.made_at)
        details = Table(book, DETAILS, COLUMNS, most_rows)
        done = 0
        for session, steps in making.selection.told():
            agent, model = masked_text(session.agent), masked_text(session.model)
            for step in steps:
                details.add(_step_cells(session, agent, model, step))
                done += 1
                told(done)
        details.end()
        _summarise(book, making, summary, most_rows)
        book.close()


def _step_cells(session: Session, agent: str, model: str, step: Step) -> tuple[Any, ...]:
    row = step_row(step)
    return (
        session.session_id,
        row["step_id"],
        row["role"],
        row["channel"],
        row["selected_tool"],
        row["decision"],
        metrics(step),
        "; ".join(violation(signal) for signal in row["guardrail_signals"] if signal.get("violated")),
        ", ".join(row["reused_fingerprints"]),
        row["reason"],
        row["rule"],
        agent,
        model,
        step.began_at,
        row["input_text"],
        row["output_text"] or row["error"],
        row["trace_id"],
    )


def metrics(step: Step) -> str:
    cost = "unknown" if step.cost_est is None else _plain(step.cost_est)
    latency = _plain(Decimal(step.latency_us) / 1000)
    return f"latency_ms={latency}; tokens_in={step.tokens_in}; tokens_out={step.tokens_out}; cost_est={cost}"


def violation(signal: dict[str, Any]) -> str:
    """Who found what kind of thing in what, and how sure it is: `pii in input: email x2 (0.95 over 0)`."""
    score, threshold = signal.get("score"), signal.get("threshold")
    kinds = ", ".join(f"{name} x{count}" if count != 1 else name for name, count in signal.get("kinds", {}).items())
    found = kinds or signal.get("reason") or signal.get("metric") or ""
    figures = "no score" if score is None else f"{score:g} over {threshold or 0:g}"
    return f"{signal.get('provider')} in {signal.get('stage')}: {found} ({figures})"


def _plain(number: Decimal) -> str:
    """Without an exponent, and without noughts at the end."""
    return f"{number.normalize():f}" if number else "0"


def _summarise(book: Book, making: Making, summary: Summary, most_rows: int) -> None:
    sheet = book.sheet(SUMMARY, [column.width for column in _BY_SESSION])
    row = 0
    for values, look in _facts(book, making, summary):
        book.put(sheet, row, values, look)
        row += 1
    by_session = Table(book, SUMMARY, _BY_SESSION, most_rows)
    by_session.go_on_in(sheet, row)
    for session in making.selection.sessions().iterator(chunk_size=500):
        by_session.add(_session_cells(session))
    by_session.end()


def _facts(book: Book, making: Making, summary: Summary) -> list[tuple[tuple[Any, ...], Any]]:
    """Everything above the table of sessions, which is as long as there are tools."""
    total, filters = summary.total, making.filters
    plain: list[tuple[Any, ...]] = [
        ("Made at (UTC)", making.made_at),
        ("Made by", masked(making.made_by)),
        *((f"Filter: {name}", filters.get(name, "any")) for name in FILTERS),
        ("Sessions", summary.sessions),
        ("Steps", total.steps),
        ("Steps not ended", total.unfinished),
        ("Latency ms", total.latency_us / 1000),
        ("Tokens in", total.tokens_in),
        ("Tokens out", total.tokens_out),
        ("Cost est USD", total.cost_est),
        ("Violations", total.violations),
    ]
    tools = [(name, *_tally_cells(tally)) for name, tally in sorted(summary.tools.items())]
    decisions = sorted(total.decisions.items())
    return [
        (("Sessions: what was asked, decided and done",), book.title),
        *((values, None) for values in plain),
        (("Secrets and personal data are masked; hidden characters are written out. Times are UTC.",), None),
        ((), None),
        (("By tool",), book.section),
        (_BY_TOOL, book.head),
        *((values, None) for values in tools),
        ((), None),
        (("By decision",), book.section),
        (("Decision", "Steps"), book.head),
        *((values, None) for values in decisions),
        ((), None),
        (("By session",), book.section),
    ]


def _tally_cells(tally: Tally) -> tuple[Any, ...]:
    fine = tally.decisions["ok"]
    figures = (tally.latency_us / 1000, tally.tokens_in, tally.tokens_out, tally.cost_est, tally.violations)
    return (tally.steps, fine, tally.steps - fine, *figures)


def _session_cells(session: Session) -> tuple[Any, ...]:
    return (
        session.session_id,
        masked_text(session.agent),
        masked_text(session.model),
        session.status,
        session.total_steps,
        session.total_latency_ms,
        session.total_tokens_in,
        session.total_tokens_out,
        session.total_cost_est,
        session.total_violations,
        session.created_at,
        session.ended_at,
        session.rules_hash,
    )
