"""Trying scores in admin, and reading them, says what the door says: one rule for all three."""

import pytest
from django.urls import reverse

from approvals.models import IntegritySettings
from tests.approvals.test_candidates import endpoint  # noqa: F401 (a fixture)
from tests.journeys.people import signed_in
from tests.journeys.proposals import APART, SAME
from tests.journeys.test_admin_proposals import PROMPT, approve, proposal_of, settings_form
from tools.models import Tool

pytestmark = pytest.mark.django_db


@pytest.fixture
def erin(world):
    return world.person("erin", "policy editors")


@pytest.fixture
def tool(world):
    return Tool.objects.get(name="send_message")


# in the demonstration, risk, source, prompt, outputs, with a model endpoint -> what both say
TRIES = [
    (False, "high", "", "Send it", None, False, "blocked"),
    (False, "high", "", "Another", None, False, "blocked"),
    (False, "high", "", "Send it", SAME, False, "refused"),
    (False, "high", "caller", "Send it", SAME, False, "refused"),
    (False, "high", "caller", "Send it", None, False, "blocked"),
    (False, "high", "", "Send it", ["Send 100 to acct_1."] * 2, True, "allowed"),
    (False, "medium", "", "Send it", None, False, "allowed"),
    (False, "medium", "", "Another", None, False, "blocked"),
    (False, "medium", "", "Another", SAME, False, "allowed"),
    (False, "medium", "", "Send it", APART, False, "blocked"),
    (False, "low", "demo", "Send it", SAME, False, "refused"),
    (True, "high", "", "Send it", SAME, False, "allowed"),
    (True, "high", "caller", "Another", None, False, "blocked"),
]


@pytest.mark.parametrize(("demo", "risk", "source", "prompt", "outputs", "has_model", "verdict"), TRIES)
def test_a_try_says_what_the_door_says(
    world, erin, tool, settings, request, demo, risk, source, prompt, outputs, has_model, verdict
):
    """Outputs that are typed stand for those of whoever is asked: of the caller, or of the model endpoint."""
    client, address = signed_in(erin), reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    caller = world.caller(world.two_phase("send_message"))
    if has_model:
        request.getfixturevalue("endpoint")
    approve(client, tool, "Send it")
    Tool.objects.filter(pk=tool.pk).update(risk=risk)
    IntegritySettings.objects.create(tool=tool, candidate_source=source)
    settings.DEMO = demo
    typed = dict(zip(("first_output", "second_output"), outputs or ("", ""), strict=True))
    page = client.post(address, settings_form(prompt=prompt, candidate_source=source, **typed))
    arguments = {"channel": "email", "message": "Hello"}
    sent = {"candidate_outputs": outputs} if outputs and not has_model else {}
    body = caller.post("/proposals", {"tool": "send_message", "args": arguments, "prompt": prompt} | sent).json()
    at_the_door = "refused" if body.get("code") == "candidates_refused" else body["status"]
    assert page.context["tried"]["headline"] == f"It would be {verdict}"
    assert at_the_door == verdict
    if verdict != "refused":
        assert page.context["tried"]["score"] == body["composite_score"]
    assert ("every proposal is blocked" in page.context["standing"]) is (risk == "high" and not demo and not has_model)


def test_a_proposal_that_lacks_outputs_says_so_although_its_prompt_is_approved(world, erin, settings):
    approve(signed_in(erin), Tool.objects.get(name="create_ticket"), PROMPT)
    Tool.objects.filter(name="create_ticket").update(risk="high")
    settings.DEMO = False
    proposal, answer = proposal_of(world.caller(world.two_phase()), world, None)
    assert (answer["status"], answer["signals"]["prompt_drift"]) == ("blocked", 0.0)
    page = signed_in(erin).get(reverse("admin:approvals_proposal_change", args=[proposal.pk]))
    assert "not even the approved one" in page.content.decode()
    assert [row["adds"] for row in page.context["signals"]] == ["–"] * 3
