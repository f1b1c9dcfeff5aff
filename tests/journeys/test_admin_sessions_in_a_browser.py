"""The story of a session and “Try a text” under the content policy: what an agent or a paste holds is shown as text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.people import chief
from tests.journeys.session_story import CARD, HOSTILE, told
from tests.journeys.test_what_happened_in_a_browser import SIZES, seen

pytestmark = pytest.mark.django_db(transaction=True)
TRY = "/admin/try-guardrails/"
PAGES = {
    "sessions": "/admin/telemetry/session/",
    "guardrails": "/admin/telemetry/guardrailsettings/",
    "detectors": "/admin/telemetry/remotedetector/",
    "new_detector": "/admin/telemetry/remotedetector/add/",
    "try": TRY,
    "first_page": "/admin/",
}


def sign_in(page: Any, live_server: Any, person: Any) -> None:
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", person.username)
    page.fill("#id_password", "correct horse battery")
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_story_and_the_try_show_scripts_as_text(
    world: Any, page: Any, live_server: Any, size: str, theme: str
) -> None:
    session = told(world)
    sign_in(page, live_server, chief(world))
    page.set_viewport_size(SIZES[size])
    page.emulate_media(color_scheme=theme)
    story = f"/admin/telemetry/session/{session.pk}/change/"
    page.goto(f"{live_server.url}{story}")
    assert page.locator(".story .step").count() == 12
    assert HOSTILE in page.locator("#step-1 .said").inner_text()
    assert page.locator(".waterfall tbody tr").count() == 12
    for bar in page.locator(".bar rect.took").all():
        assert bar.bounding_box()["width"] > 0
    seen(page, f"story_{size}_{theme}")
    page.goto(f"{live_server.url}/admin/telemetry/session/{session.pk}/stop/")
    seen(page, f"stop_{size}_{theme}")
    page.goto(f"{live_server.url}{TRY}")
    page.fill("#id_text", f"{HOSTILE} my card is {CARD}\nand my mail is ann@example.com")
    page.click("#try-form button[type=submit]")
    page.wait_for_selector("#tried-text mark")
    assert HOSTILE in page.locator("#tried-text").inner_text()
    seen(page, f"tried_{size}_{theme}")
    for name, path in {**PAGES, "story": story}.items():
        page.goto(f"{live_server.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        seen(page, f"{name}_{size}_{theme}")
