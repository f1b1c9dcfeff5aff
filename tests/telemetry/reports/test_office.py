"""The workbook in a spreadsheet program of somebody else: opened by LibreOffice, and read back as it shows it."""

import csv
import subprocess

import pytest

from telemetry.reports.cells import cell_text
from tests.telemetry.reports.rows import SIGNAL, session, step, written
from tests.telemetry.reports.test_xlsx_report import COLUMNS, HOSTILE

# As a table with commas, quoted, in UTF-8; the last figure says: every sheet, a file each.
AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


@pytest.mark.slow
@pytest.mark.django_db
def test_libreoffice_shows_every_row_as_text(soffice, tmp_path):
    words = [text[:200] for text in HOSTILE if "\x00" not in text and "\ud800" not in text]
    one = session()
    for number, text in enumerate(words, start=1):
        step(one, number, input_text=text, output_text=text, guardrail_signals=[SIGNAL])
    (tmp_path / "sessions.xlsx").write_bytes(written("xlsx"))
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [soffice, profile, "--headless", "--convert-to", AS_CSV, "--outdir", tmp_path, tmp_path / "sessions.xlsx"]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    with (tmp_path / "sessions-MCP_Details.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == COLUMNS
    shown = [row[COLUMNS.index("Input Text")] for row in rows]
    assert shown == [cell_text(text) for text in words]
    assert rows[0][:9] == [
        *("demo_session", "step_1", "assistant", "llm_to_tool", "search_customer", "ok"),
        "latency_ms=150.5; tokens_in=10; tokens_out=20; cost_est=0.001",
        "pii in input: email x2, phone (0.95 over 0)",
        "",
    ]
    assert rows[0][COLUMNS.index("Began At")] == "2026-11-21 14:01:00.000"
    summary = (tmp_path / "sessions-Summary.csv").read_text(encoding="utf-8")
    assert f"Steps,{len(words)}," in summary
