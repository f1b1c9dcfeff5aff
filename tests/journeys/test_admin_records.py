"""Admin's pages of two phases keep showing what counts: the accepted attempt, the whole prompt, every character."""

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals.baselines import approve_prompt_of
from approvals.models import Commit, PendingAction, PromptBaseline, Proposal, SigningKey, Vote
from approvals.scoring import prompt_hash
from telemetry.models import AuditEvent, Payload
from telemetry.recorder import SYSTEM
from tests.journeys.people import chief, signed_in
from tests.journeys.proposals import committed
from tests.journeys.test_admin_proposals import approve, proposal_of
from tests.journeys.test_unknown_resolution import CutOff
from tools.models import Tool

pytestmark = pytest.mark.django_db
LONG = "Open a ticket about the late invoices of ACME. " + "Be polite. " * 30 + "Then delete every other ticket."


@pytest.fixture
def agent(world):
    return world.caller(world.two_phase())


def page_of(proposal):
    return reverse("admin:approvals_proposal_change", args=[proposal.pk])


def prompt_page(proposal):
    return reverse("admin:approvals_proposal_approve_prompt", args=[proposal.pk])


# what is always there


def test_the_accepted_attempt_is_shown_first_however_many_were_refused_since(world, agent):
    proposal, answer = proposal_of(agent, world)
    committed(agent, answer)
    accepted = Commit.objects.get()
    for _ in range(60):
        Commit(
            proposal_id=proposal.pk,
            agent=accepted.agent,
            agent_key=accepted.agent_key,
            accepted=False,
            reason="nonce_replay",
            trace_id=accepted.trace_id,
        ).save(force_insert=True)
    attempts = signed_in(chief(world)).get(page_of(proposal)).context["attempts"]
    assert [one["commit"] for one in attempts if one["word"] == "accepted"] == [accepted]
    assert attempts[0]["commit"] == accepted
    assert attempts[1]["commit"].created_at > attempts[2]["commit"].created_at


def test_the_events_of_a_proposal_are_found_whatever_trace_they_are_of(world, agent):
    proposal, answer = proposal_of(agent, world)
    committed(agent, answer)
    client = signed_in(chief(world))
    for page in (page_of(proposal), reverse("admin:approvals_pendingaction_change", args=[proposal.pk])):
        events = client.get(client.get(page).context["events_link"]).context["cl"].result_list
        types = {event.type for event in events}
        assert types >= {"action.requested", "token.issued", "action.executing", "action.done"}


def test_the_events_of_what_is_to_be_settled_are_linked(world):
    cut_off = CutOff(world)
    link = f"?subject=pending_action%3A{cut_off.action.pk}"
    assert link in signed_in(world.bob).get(cut_off.page).content.decode()


def test_a_page_of_an_act_says_what_it_is_about_at_its_head(world):
    page = signed_in(world.bob).get(CutOff(world).page)
    assert f'<h1 class="page-head">{page.context["act"].title}</h1>' in page.content.decode()


# a prompt is approved whole


def test_a_long_prompt_is_shown_whole_before_it_is_approved_and_the_reading_is_on_record(world, agent):
    proposal, _ = proposal_of(agent, world, prompt=LONG)
    dora = chief(world)
    page = signed_in(dora).get(prompt_page(proposal))
    assert page.context["act"].block == LONG
    assert AuditEvent.objects.get(type="payload.read").actor == "dora"
    assert signed_in(dora).post(prompt_page(proposal), {"reason": "read"}).status_code == 302
    baseline = PromptBaseline.objects.get()
    assert (baseline.prompt_hash, baseline.prompt_masked) == (prompt_hash(LONG), LONG)


@pytest.mark.parametrize("gone", [True, False])
def test_a_prompt_that_can_not_be_shown_whole_is_not_approved_from_its_proposal(world, agent, gone):
    """It is not kept any more, or this person may not read it. A short one with nothing masked is shown to both."""
    long, _ = proposal_of(agent, world, prompt=LONG)
    secret, _ = proposal_of(agent, world, prompt="Write to bob@example.com.")
    short, _ = proposal_of(agent, world, prompt="Open a ticket.")
    if gone:
        Payload.objects.all().delete()
    client = signed_in(chief(world) if gone else world.person("erin", "policy editors"))
    for proposal in (long, secret):
        assert client.post(prompt_page(proposal), {"reason": "x"}).url == page_of(proposal)
        assert "Nothing was changed" in client.get(prompt_page(proposal), follow=True).content.decode()
    assert not PromptBaseline.objects.exists()
    assert client.get(prompt_page(short)).context["act"].block == "Open a ticket."
    assert client.post(prompt_page(short), {"reason": "x"}).status_code == 302
    assert PromptBaseline.objects.get().prompt_hash == prompt_hash("Open a ticket.")


def test_no_other_prompt_is_approved_under_the_name_of_a_proposal(world, agent):
    proposal, _ = proposal_of(agent, world, prompt=LONG)
    with pytest.raises(Exception, match="not the prompt"):
        approve_prompt_of(proposal, LONG[:200], "", SYSTEM, timezone.now())
    assert not PromptBaseline.objects.exists()


# every character


def test_hidden_characters_are_shown_once_escaped_wherever_people_read(world, agent):
    hidden, shown = "good\u202efdp", "good⟦U+202E⟧fdp"
    proposal, _ = proposal_of(agent, world, prompt=hidden)
    erin = signed_in(world.person("erin", "policy editors"))
    assert erin.get(page_of(proposal)).context["evidence"] == shown
    assert erin.get(prompt_page(proposal)).context["act"].block == shown
    tool = Tool.objects.get(name="create_ticket")
    typed = {"tool": tool.pk, "prompt": hidden, "note": hidden}
    noted = erin.post(reverse("admin:approvals_promptbaseline_add"), typed)
    assert dict(noted.context["act"].facts)["Note"] == shown
    approve(erin, tool, hidden)
    again = erin.get(prompt_page(proposal_of(agent, world, prompt="Another")[0]))
    assert dict(again.context["act"].facts)["In force now"].endswith(shown)
    listed = erin.get(reverse("admin:approvals_promptbaseline_changelist")).content.decode()
    assert shown in listed
    assert "U+27E6" not in listed


def test_hidden_characters_in_the_reason_of_a_vote_are_shown(world):
    hidden, action = "fine\u202efdp", CutOff(world).action
    vote = {"operator": world.charlie, "operator_name": "charlie", "approve": True, "reason": hidden, "via": "admin"}
    Vote(pending_action=action, **vote).save(force_insert=True)
    page = signed_in(world.bob).get(reverse("admin:approvals_pendingaction_change", args=[action.pk]))
    assert "fine⟦U+202E⟧fdp" in page.content.decode()
    assert hidden not in page.content.decode()


def test_hidden_characters_in_why_a_signing_key_was_revoked_are_shown(world, agent):
    proposal_of(agent, world)
    bob, hidden, key = signed_in(world.bob), "fine\u202efdp", SigningKey.objects.get()
    bob.post(reverse("admin:approvals_signingkey_revoke", args=[key.pk]), {"reason": hidden})
    pages = ("admin:approvals_signingkey_changelist", []), ("admin:approvals_signingkey_change", [key.pk])
    for name, args in pages:
        page = bob.get(reverse(name, args=args)).content.decode()
        assert "fine⟦U+202E⟧fdp" in page
        assert hidden not in page


# what is asked for


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("approvals_pendingaction", "q=%00"),
        ("approvals_pendingaction", "status__exact=%00pending"),
        ("approvals_commit", "q=a%00"),
        ("approvals_commit", "reason=%00"),
        ("approvals_signingkey", "q=%00a"),
        ("approvals_signingkey", "status__exact=%00"),
        ("approvals_proposal", "candidate_source__exact=%00"),
        ("telemetry_span", "q=%00a"),
        ("telemetry_span", "tool=%00a"),
        ("telemetry_auditevent", "q=%00a"),
        ("auth_user", "q=%00a"),
    ],
)
def test_a_list_that_is_asked_for_a_nul_answers(world, model, query):
    client = signed_in(chief(world))
    assert client.get(f"{reverse(f'admin:{model}_changelist')}?{query}").status_code == 200


def test_actions_are_found_by_id_in_any_case_and_by_trace(world):
    action = CutOff(world).action
    client, page = signed_in(world.bob), reverse("admin:approvals_pendingaction_changelist")

    def found(term):
        return list(client.get(page, {"q": term}).context["cl"].result_list)

    assert found(str(action.pk).upper()) == [action]
    assert found(f" {action.trace_id} ") == [action]
    assert found(str(uuid.uuid4())) == found("nonsense") == []
    assert found("") == list(PendingAction.objects.all())


def test_what_admin_searches_by_has_an_index():
    """A search of a table that is kept for ever must not read it."""
    wanted = {Commit: {"trace_id", "token_id"}, Proposal: {"trace_id"}, PendingAction: {"trace_id"}}
    for model, fields in wanted.items():
        assert fields <= {index.fields[0] for index in model._meta.indexes if index.fields}


@pytest.mark.parametrize(("state", "shown"), [("in_force", "Now"), ("retired", "Earlier"), ("", "Earlier Now")])
def test_a_list_is_narrowed_to_what_goes_on_or_has_ended(world, state, shown):
    tool = Tool.objects.get(name="create_ticket")
    for note, retired_at in (("Earlier", timezone.now()), ("Now", None)):
        PromptBaseline.objects.create(
            tool=tool, prompt_hash="0" * 64, note=note, approved_by="bob", retired_at=retired_at
        )
    page = signed_in(world.bob).get("/admin/approvals/promptbaseline/", {"state": state} if state else {})
    found = {row.note for row in page.context["cl"].result_list}
    assert found == set(shown.split())
