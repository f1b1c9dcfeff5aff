"""The pages of alerts in a real browser, wide and on a phone: nothing is wider than the screen, and nothing errs."""

from typing import Any

import pytest

from observatory.groups import POLICY_EDITORS
from telemetry.alerts.evaluation import evaluate
from telemetry.models import AlertChannel, AlertInstance, AlertRule
from tests.journeys.alert_forms import ALERTS, CHANNELS, RULES, SILENCES, failing_since
from tests.telemetry.delivery.messages import channel
from tests.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def logged_in(page: Any, live_server: Any, world: World) -> Any:
    world.person("edda", POLICY_EDITORS)
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "edda")
    page.fill("#id_password", "correct horse battery")
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")
    return page


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_pages_of_alerts_fit_and_err_nowhere(logged_in: Any, live_server: Any) -> None:
    page, base = logged_in, live_server.url
    hook = channel(url="https://alerts.example.com/hook")
    rule = AlertRule.objects.get(metric="error_rate")
    rule.channels.set([hook])
    AlertRule.objects.filter(pk=rule.pk).update(min_samples=1)
    evaluate(failing_since(30))
    alert = AlertInstance.objects.get(rule=rule)
    paths = (
        *(ALERTS, f"{ALERTS}{alert.pk}/change/", "/admin/alerts-over-time/"),
        *(RULES, f"{RULES}{rule.pk}/change/", f"{RULES}add/"),
        *(CHANNELS, f"{CHANNELS}{hook.pk}/change/", f"{CHANNELS}{hook.pk}/test/", f"{CHANNELS}{hook.pk}/replace/"),
        *(SILENCES, f"{SILENCES}add/"),
    )
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        for path in paths:
            assert page.goto(base + path).ok, path
            assert fits(page), (path, size)
    page.goto(f"{base}{RULES}{rule.pk}/change/")
    page.click("button[name=_try][value=day]")
    page.wait_for_selector("#tried svg.plot")
    assert fits(page)
    assert page.locator("#tried .ledger tbody tr").count() == 1


def test_the_form_of_a_channel_asks_what_belongs_to_its_kind(logged_in: Any, live_server: Any) -> None:
    page = logged_in
    page.goto(f"{live_server.url}{CHANNELS}add/")
    asked = {
        "email": (True, False, False),
        "slack": (False, False, True),
        "pagerduty": (False, True, True),
        "webhook": (False, True, False),
    }
    for kind, expected in asked.items():
        page.select_option("#id_kind", kind)
        assert tuple(page.is_visible(f"#id_{name}") for name in ("recipients", "url", "secret")) == expected, kind
    page.fill("#id_name", "automation")
    page.fill("#id_url", "https://alerts.example.com/hook")
    page.click("button[name=_save]")
    assert page.inner_text("#new-secret").startswith("whsec_")
    assert AlertChannel.objects.get().name == "automation"
