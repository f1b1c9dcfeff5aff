"""The operators' admin in a real browser under the real content policy; `page` fails on any console error."""

from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client

from observatory.login_throttle import LOGIN_TRIES

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a long enough pass phrase"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SIDEBAR_SWITCH = "span:text-is('dock_to_right') >> visible=true"
USER_SWITCH = "[x-on\\:click='openUserLinks = !openUserLinks']"


@pytest.fixture
def logged_in(page: Any, live_server: Any) -> Any:
    """A page on the admin index, opened by alice through the login form."""
    get_user_model().objects.create_superuser("alice", "alice@example.org", PASSWORD)
    page.set_viewport_size(DESKTOP)
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "alice")
    page.fill("#id_password", PASSWORD)
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")
    return page


def theme_of(page: Any) -> str:
    return page.locator("html").get_attribute("class") or ""


def test_login_when_the_password_is_wrong(page: Any, live_server: Any) -> None:
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", "alice")
    page.fill("#id_password", "wrong")
    page.click("#login-form button[type=submit]")
    page.wait_for_selector("#login-form")


def test_page_when_served_carries_a_policy_without_inline_or_eval(page: Any, live_server: Any) -> None:
    response = page.goto(f"{live_server.url}/admin/login/")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_theme_when_each_one_is_chosen(logged_in: Any) -> None:
    page = logged_in
    page.click(USER_SWITCH)
    page.get_by_text("Dark", exact=True).locator("visible=true").click()
    page.wait_for_selector("html.dark")
    page.get_by_text("Light", exact=True).locator("visible=true").click()
    page.wait_for_selector("html.light")
    page.reload()
    page.wait_for_selector("html.light")
    assert "dark" not in theme_of(page)


def test_sidebar_when_opened_and_closed_on_a_phone(logged_in: Any) -> None:
    page = logged_in
    page.set_viewport_size(PHONE)
    sidebar = page.locator("#nav-sidebar")
    sidebar.wait_for(state="hidden")
    page.click(SIDEBAR_SWITCH)
    sidebar.wait_for(state="visible")
    sidebar.locator("[x-on\\:click='sidebarMobileOpen = !sidebarMobileOpen'] >> visible=true").click()
    sidebar.wait_for(state="hidden")


def test_sidebar_when_closed_on_a_desk_stays_closed(logged_in: Any) -> None:
    page = logged_in
    sidebar = page.locator("#nav-sidebar")
    sidebar.wait_for(state="visible")
    page.click(SIDEBAR_SWITCH)
    sidebar.wait_for(state="hidden")
    page.reload()
    sidebar.wait_for(state="hidden")


def test_user_menu_when_opened_logs_out(logged_in: Any) -> None:
    page = logged_in
    page.click(USER_SWITCH)
    page.locator("#logout-form button").click()
    page.get_by_text("Logged out", exact=False).first.wait_for()


def test_command_search_when_a_page_is_named(logged_in: Any) -> None:
    page = logged_in
    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially("group")
    page.wait_for_selector("#command-results-list li")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/auth/group/")


@time_machine.travel("2026-11-21T12:00:00Z", tick=False)
def test_login_when_tried_too_often_is_refused() -> None:
    client, words = Client(), {"username": "alice", "password": "wrong"}
    answers = [client.post("/admin/login/", words).status_code for _ in range(LOGIN_TRIES + 1)]
    assert answers == [200] * LOGIN_TRIES + [429]
    get_user_model().objects.create_superuser("alice", "alice@example.org", PASSWORD)
    assert client.post("/admin/login/", words | {"password": PASSWORD}).status_code == 429
    somebody_else = client.post("/admin/login/", words | {"username": "bob"})
    assert somebody_else.status_code == 200


def test_api_page_when_opened_shows_every_address(page: Any, live_server: Any) -> None:
    """The page of the OpenAPI document keeps to the content policy as well: any complaint fails the test."""
    page.goto(f"{live_server.url}/api/docs/")
    page.wait_for_selector("#operations-tools-call_tool")
    page.click("#operations-tools-call_tool .opblock-summary-control")
    page.wait_for_selector("text=Idempotency-Key")
