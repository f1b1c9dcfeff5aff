"""What the documentation lists is what the code has: settings, reasons, events, addresses, checks, links, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.urls import URLPattern, get_resolver

from observatory.env import REQUIRED, VARIABLES
from observatory.groups import PERMISSIONS
from telemetry.event_types import EVENT_TYPES
from telemetry.ingest.checking import FIELDS
from telemetry.ingest.faults import FAULTS
from telemetry.metrics.definitions import METRICS
from telemetry.metrics.families import PREFIX, families
from telemetry.otel.names import KEPT_ATTRIBUTES
from tools.reasons import REASONS
from tools.scopes import Scope

ROOT = Path(settings.BASE_DIR)
REFERENCE = ROOT / "docs" / "reference"
NOT_OURS = {".venv", "var", "node_modules", ".git", "build", "dist"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.|/simple/|index-url|registry\.(?!py)[a-z]", re.IGNORECASE)
LOCKS = ("requirements/bootstrap.txt", "requirements/prod.txt", "requirements/dev.txt", "tests/node/package-lock.json")


def pages() -> Iterator[Path]:
    for page in sorted(ROOT.rglob("*.md")):
        if not {*page.relative_to(ROOT).parts, *()} & NOT_OURS and not any(
            p.startswith(".") for p in page.parts[-2:-1]
        ):
            yield page


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a reference page whose first cell is a word in code, without its back-quotes."""
    found = []
    for line in (REFERENCE / f"{name}.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| `") else []
        if cells:
            found.append([cell.strip().strip("`") for cell in cells])
    return found


def test_settings_are_those_that_the_code_reads() -> None:
    documented = {row[0]: row[1] for row in rows("settings")}
    assert list(documented) == [variable.name for variable in VARIABLES]
    required = {variable.name for variable in VARIABLES if variable.default is REQUIRED}
    assert {name for name, default in documented.items() if default == "required"} == required


def test_reasons_are_those_that_are_answered_with_status_and_decision() -> None:
    documented = [(row[0], row[1], row[2]) for row in rows("reasons")]
    assert documented == [(reason.code, str(reason.status), reason.decision) for reason in REASONS.values()]


def test_metrics_are_those_that_can_be_asked_for_and_scraped() -> None:
    documented = rows("metrics")
    figures = {name: metric.unit.value for name, metric in METRICS.items()}
    assert {row[0]: row[1] for row in documented if not row[0].startswith(PREFIX)} == figures
    scraped = {row[0]: row[1] for row in documented if row[0].startswith(PREFIX)}
    assert scraped == {family.name: family.type for family in families()}
    for family in families():
        labels = next(row[2] for row in documented if row[0] == family.name)
        named = [re.sub(r" \(.*\)", "", label).strip() for label in re.split(r", (?![^(]*\))", labels.rstrip(" |"))]
        expected = ["tool" if label == "tool_name" else label for label in family.labels]
        assert not expected or named == expected, family.name


def test_event_types_are_those_that_are_registered() -> None:
    assert [row[0] for row in rows("events")] == list(EVENT_TYPES)


def test_faults_of_spans_are_those_that_are_told() -> None:
    documented = {row[0]: row[1] for row in rows("span-faults") if len(row) == 2}
    assert documented == FAULTS


def test_fields_of_a_span_and_kept_attributes_are_those_that_are_read() -> None:
    page = _read(REFERENCE / "span-faults.md")
    cells = [row[0] for row in rows("span-faults") if len(row) > 2]
    assert {name for cell in cells for name in re.findall(r"[a-z_]+", cell)} == set(FIELDS)
    listed = page[page.index("Of `attributes` these names") :]
    assert set(re.findall(r"`([a-z_.]+\.[a-z_.]+)`", listed)) == KEPT_ATTRIBUTES


def test_scopes_are_those_that_a_key_can_have() -> None:
    assert [row[0] for row in rows("scopes")] == Scope.values


def test_permissions_are_those_that_the_groups_get() -> None:
    documented = {row[0]: row[1 : 1 + len(PERMISSIONS)] for row in rows("permissions")}
    assert set(documented) == {word for words in PERMISSIONS.values() for word in words}
    for position, (group, words) in enumerate(PERMISSIONS.items()):
        given = {word for word, cells in documented.items() if len(cells) > position and cells[position] == "yes"}
        assert given == set(words), group


def test_endpoints_are_those_that_are_routed() -> None:
    routed = {
        "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern)
    }
    documented = {row[0] for row in rows("endpoints") if row[0].startswith("/")}
    assert documented == routed | {f"/{site.name}/"}


def test_checks_are_those_that_are_registered() -> None:
    source = (ROOT / "observatory" / "checks.py").read_text(encoding="utf-8")
    assert {row[0] for row in rows("checks")} == set(re.findall(r'id="(observatory\.[EW]\d{3})"', source))


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    relative = [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    missing = [link for link in relative if not ((ROOT / page).parent / link.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_a_page_names_no_registry(page: str) -> None:
    assert REGISTRIES.findall((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    folder = ROOT / "docs"
    index = (folder / "README.md").read_text(encoding="utf-8")
    linked = {(folder / link).resolve() for link in LINK.findall(index)}
    assert {page for page in folder.rglob("*.md") if page.name != "README.md"} - linked == set()


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for page in pages() for word in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in _read(ROOT / file)]
    assert missing == []


def test_every_package_that_is_installed_has_its_reason() -> None:
    decision = (ROOT / "docs" / "adr" / "0002-dependencies.md").read_text(encoding="utf-8")
    lines = [line for file in ("prod", "dev") for line in _read(ROOT / "requirements" / f"{file}.in").splitlines()]
    names = {match[0] for line in lines if (match := re.match(r"[a-z][a-z0-9-]*", line))}
    assert {name for name in names if not re.search(rf"(?:\| |, ){re.escape(name)}(?:,| \|)", decision)} == set()


def test_the_page_on_connecting_says_of_each_client_what_admin_does() -> None:
    from tools.client_snippets import snippets

    page = _read(ROOT / "docs" / "how-to" / "connect-over-mcp.md")
    for one in snippets("http://127.0.0.1:8000/mcp", "dev-key"):
        assert f"### {one.client}\n\n{one.where}\n\n```{one.language}\n{one.text}\n```\n" in page, one.slug


def test_what_measures_time_is_measured_alone() -> None:
    for file in (ROOT / "tests" / "performance").glob("test_*.py"):
        assert "pytest.mark.slow, pytest.mark.alone" in _read(file), file.name


def test_every_stage_is_in_the_picture_in_its_order() -> None:
    from observatory.pipeline import STAGES

    names = [stage.name for stage in STAGES]
    for page in ("README.md", "docs/explanation/the-way-a-call-goes.md"):
        shown = re.findall(r"^(?: |\| `)([a-z]+_?[a-z]*)(?: \.\.|`)", _read(ROOT / page), re.MULTILINE)
        assert [name for name in shown if name in names] == names, page


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
