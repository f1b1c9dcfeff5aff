"""What tests of every folder share: a browser that reports every error, and loud notices of what did not run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from tests.node.installed import NotInstalled, installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page
    from pytest_django import Settings

    from tests.telemetry.egress.peer import Answer, Listener
    from tests.world import World

APPEND_ONLY = (
    "telemetry_auditevent",
    "telemetry_alerttransition",
    "tools_policyrevision",
    "tools_toolversion",
    "approvals_vote",
    "approvals_proposal",
    "approvals_committoken",
    "approvals_commit",
)
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
OFFICES = ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice")
# Runs before the page's own scripts: a violation of the Content Security Policy becomes a console error.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile}`));
"""


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What opens a browser belongs to the slow tests: together they would be a third of the quick ones' time."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """No test sees another's rate counters."""
    yield
    cache.clear()


@pytest.fixture
def world(db: None) -> World:
    """People, the demonstration's tools and two customers; see tests/world.py."""
    from tests.world import World  # models can be imported once Django is set up

    return World()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Real servers on loopback that end with their test."""
    from telemetry.egress.pool import pool  # as above
    from tests.telemetry.egress.peer import FINE, Listener

    listeners: list[Listener] = []

    def start(answer: Answer = FINE, **options: Any) -> Listener:
        listeners.append(Listener(answer, **options))
        return listeners[-1]

    yield start
    pool.close()
    for listener in listeners:
        listener.stop()


@pytest.fixture
def opened(settings: Settings) -> None:
    """Loopback may be called."""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def closed(settings: Settings) -> None:
    settings.EGRESS_ALLOWED_NETWORKS = []


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> None:
    """Passwords of test people need not resist anybody: a slow hash would be most of a test's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Tests hold no pool: each thread of a race has its own connection, and a test database can be dropped."""
    settings.DATABASES["default"]["OPTIONS"].pop("pool", None)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Emptying tables between tests is TRUNCATE, which append-only tables refuse; tests/laws switches that on again."""
    from telemetry.database_words import words  # models can be imported once Django is set up
    from telemetry.tasks import create_partitions  # as above

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for table in APPEND_ONLY:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate")
        create_partitions()
    yield
    words.close()
    # The last test may have cut this one too.
    connection.close()
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # A thread of a live server may end a moment after its test; its session would keep the database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _not_run(what: str, required_by: str) -> None:
    """The test is skipped with a notice, or fails where the variable says that it must run."""
    if os.environ.get(required_by):
        pytest.fail(f"{required_by} is set: {what}", pytrace=False)
    pytest.skip(f"{what} ({required_by}=1 makes this an error)")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium; CHROMIUM names one."""
    given = os.environ.get("CHROMIUM")
    for name in [given] if given else BROWSERS:
        if found := shutil.which(name):
            return found
    _not_run("BROWSER TESTS NOT RUN: no Chromium. Debian: apt install chromium; or set CHROMIUM", "REQUIRE_BROWSER")
    raise AssertionError


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js, whose packages stand in tests/node/installed.py's PLACE; NODE names another."""
    try:
        return installed()
    except NotInstalled as problem:
        _not_run(f"NODE TESTS NOT RUN: {problem}. Node.js comes with requirements/dev.txt; or set NODE", "REQUIRE_NODE")
        raise AssertionError from problem


@pytest.fixture(scope="session")
def soffice() -> str:
    """The path of an installed LibreOffice; SOFFICE names one."""
    given = os.environ.get("SOFFICE")
    for name in [given] if given else OFFICES:
        if found := shutil.which(name):
            return found
    _not_run(
        "OFFICE TESTS NOT RUN: no LibreOffice. Debian: apt install libreoffice-calc; or set SOFFICE", "REQUIRE_OFFICE"
    )
    raise AssertionError


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:  # there is no wheel for this platform
        _not_run("BROWSER TESTS NOT RUN: Playwright has no package for this platform", "REQUIRE_BROWSER")
    # Playwright keeps an event loop in this thread, and Django refuses its ORM beside one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page_errors() -> list[str]:
    """What a browser complained of in this test. A test that expects a complaint removes it."""
    return []


@pytest.fixture
def page(browser: Browser, page_errors: list[str]) -> Iterator[Page]:
    """A page of a fresh browser profile; the test fails on any error in its console, its scripts or its policy."""

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            page_errors.append(f"console: {message.text} ({message.location['url']})")

    context = browser.new_context()
    context.set_default_timeout(15_000)
    context.add_init_script(REPORT_VIOLATIONS)
    context.on("console", note_console)
    context.on("weberror", lambda error: page_errors.append(f"script: {error.error}"))
    yield context.new_page()
    context.close()
    assert page_errors == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each reason for which tests were skipped is said once, at the end and in colour."""
    skipped = [report.longrepr for report in terminalreporter.getreports("skipped")]
    reasons = [entry[2].removeprefix("Skipped: ") for entry in skipped if isinstance(entry, tuple)]
    for reason in sorted(set(reasons)):
        terminalreporter.write_line(f"NOTICE: {reasons.count(reason)} skipped: {reason}", yellow=True, bold=True)
