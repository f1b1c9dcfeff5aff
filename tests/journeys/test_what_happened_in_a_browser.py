"""The charts are drawn under the content policy, in both themes, and nothing leaves a phone's screen."""

from __future__ import annotations

import datetime as dt
import os
import random
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from telemetry.metrics.rollups import roll_up
from telemetry.models import Span
from tests.telemetry.metrics.spans import record, span

pytestmark = pytest.mark.django_db(transaction=True)
CHARTS = "/admin/what-happened/"
TRACE = "f" * 32
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
TOOLS = ("search_customer", "create_ticket", "update_customer_status", "send_message")


def calls_of_an_hour(chance: random.Random) -> list[Span]:
    now = timezone.now() - dt.timedelta(minutes=3)
    return [
        span(
            now - dt.timedelta(seconds=9 * n),
            chance.lognormvariate(4, 1),
            tool_name=chance.choice(TOOLS),
            agent=chance.choice(("billing-agent", "support-agent")),
            decision=chance.choice(("ok",) * 12 + ("denied_policy", "held", "error")),
            cost_usd=chance.choice((None, Decimal("0.004"))),
            prompt_tokens=chance.randrange(900),
            completion_tokens=chance.randrange(200),
        )
        for n in range(350)
    ]


def a_trace() -> list[Span]:
    """A run of an agent: a tool call with its stages, what it asked upstream, a model, and an orphan."""
    now = timezone.now() - dt.timedelta(minutes=2)

    def part(own_id: str, parent: str, after_ms: float, ms: float, **fields: Any) -> Span:
        made = span(now + dt.timedelta(milliseconds=after_ms), ms, trace_id=TRACE, **fields)
        made.span_id, made.parent_span_id = own_id.ljust(16, "0"), parent.ljust(16, "0") if parent else ""
        return made

    stages = {"authenticate": 2_000, "policy_guard": 4_000, "rate_limit": 1_000, "execute": 300_000}
    return [
        part("a", "", 0, 900, kind="other", origin="otlp", service="crm-agent", name="answer a customer", tool_name=""),
        part("b", "a", 20, 340, tool_name="notebook.write_note", stages_us=stages, reason="ok"),
        part("c", "b", 30, 310, kind="upstream", service="notebook", tool_name="write_note"),
        part("d", "a", 380, 450, kind="model_call", origin="sdk", model="gpt-4o", tool_name="", prompt_tokens=900),
        part("e", "a", 840, 12, tool_name="create_ticket", decision="denied_policy", reason="rule_denied"),
        part("f", "9", 850, 40, kind="other", origin="otlp", service="crm-agent", name="afterwards", tool_name=""),
    ]


def signed_in(page: Any, live_server: Any) -> Any:
    get_user_model().objects.create_superuser("alice", "alice@example.org", "a long enough pass phrase")
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "alice")
    page.fill("#id_password", "a long enough pass phrase")
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")
    return page


@pytest.fixture
def signed_in_page(page: Any, live_server: Any) -> Any:
    record(*calls_of_an_hour(random.Random(5)), *a_trace())
    roll_up(timezone.now())
    return signed_in(page, live_server)


def seen(page: Any, name: str) -> None:
    """A picture for people, where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_charts_and_waterfall_fit_and_break_no_policy(
    signed_in_page: Any, live_server: Any, size: str, theme: str
) -> None:
    page = signed_in_page
    page.set_viewport_size(SIZES[size])
    page.emulate_media(color_scheme=theme)
    page.goto(f"{live_server.url}{CHARTS}")
    page.wait_for_selector(".over-time canvas")
    assert page.locator(".over-time canvas").count() == 4
    assert page.locator(".over-time").first.bounding_box()["height"] > 150
    seen(page, f"charts_{size}_{theme}")
    page.goto(f"{live_server.url}/admin/telemetry/span/trace/{TRACE}/")
    assert page.locator(".waterfall tbody tr").count() == 6
    for bar in page.locator(".bar rect.took").all():
        assert bar.bounding_box()["width"] > 0
    seen(page, f"trace_{size}_{theme}")
    for path in (CHARTS, f"/admin/telemetry/span/trace/{TRACE}/", "/admin/telemetry/span/"):
        page.goto(f"{live_server.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    seen(page, f"spans_{size}_{theme}")


def test_the_charts_follow_the_theme_and_the_window(signed_in_page: Any, live_server: Any) -> None:
    page = signed_in_page
    page.goto(f"{live_server.url}{CHARTS}")
    page.wait_for_selector(".over-time canvas")
    page.evaluate("document.documentElement.classList.toggle('dark')")
    page.wait_for_function("document.querySelectorAll('.over-time canvas').length === 4")
    page.click("text=24 hours")
    page.wait_for_selector(".choice-on:has-text('24 hours')")
    page.wait_for_selector(".over-time canvas")
    page.click("summary:has-text('The numbers')")
    assert page.locator("details table tbody tr").count() >= 24


# How many pixels of the chart of durations have the colour of its second line, which is drawn over the first.
PIXELS = """() => {
    const box = document.querySelector(".over-time[data-lines^=p50]"), canvas = box.querySelector("canvas");
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    probe.fillStyle = getComputedStyle(box).getPropertyValue("--chart-line-2").trim();
    probe.fillRect(0, 0, 1, 1);
    const colour = [...probe.getImageData(0, 0, 1, 1).data];
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) found += colour.every((part, n) => data[at + n] === part);
    return found;
}"""


def test_a_duration_alone_in_its_window_is_seen(page: Any, live_server: Any) -> None:
    record(span(timezone.now() - dt.timedelta(minutes=20)))
    roll_up(timezone.now())
    signed_in(page, live_server).goto(f"{live_server.url}{CHARTS}")
    page.wait_for_selector(".over-time canvas")
    assert page.evaluate(PIXELS) > 0
