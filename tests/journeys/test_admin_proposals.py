"""Proposals, how they are scored, and approved prompts in admin: who may, what is shown, what is on record."""

import pytest
from django.urls import reverse

from approvals.models import Commit, IntegritySettings, PromptBaseline, Proposal, SigningKey
from approvals.scoring import prompt_hash
from telemetry.models import AuditEvent
from tests.journeys.people import chief, signed_in
from tests.journeys.proposals import APART, SAME, committed, ticket
from tools.models import Tool

pytestmark = pytest.mark.django_db
PROMPT = "Please open a ticket."
HOSTILE = "<script>alert(1)</script>\u202evip\u200b"


@pytest.fixture
def erin(world):
    return world.person("erin", "policy editors")


@pytest.fixture
def agent(world):
    return world.caller(world.two_phase())


@pytest.fixture
def tool(world):
    return Tool.objects.get(name="send_message")


def proposal_of(caller, world, outputs=SAME, *, prompt=None, title="Late invoices"):
    """A proposal made at the door, with its answer."""
    body = {"tool": "create_ticket", "args": ticket(world, title), "prompt": PROMPT if prompt is None else prompt}
    answer = caller.post("/proposals", body | ({"candidate_outputs": outputs} if outputs else {})).json()
    return Proposal.objects.get(pk=answer["proposal_id"]), answer


def settings_form(**fields):
    return {
        "output_instability_weight": "0.5",
        "numeric_variance_weight": "0.3",
        "prompt_drift_weight": "0.2",
        "block_at": "0.45",
        "candidate_source": "",
        "commit_within_s": "900",
    } | fields


# how proposals are scored


def test_every_tool_has_settings_and_says_whether_they_are_its_own(erin, tool):
    client, page = signed_in(erin), reverse("admin:approvals_integritysettings_changelist")
    rows = {row["tool"].name: row for row in client.get(page).context["rows"]}
    assert set(rows) == set(Tool.objects.values_list("name", flat=True))
    assert rows["send_message"]["is_default"]
    address = reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    assert client.post(address, settings_form(block_at="0.3", save="1")).status_code == 302
    row = next(row for row in client.get(page).context["rows"] if row["tool"] == tool)
    assert (row["is_default"], row["block_at"]) == (False, "0.3")
    assert AuditEvent.objects.get(type="integrity.changed").actor == "erin"
    own = IntegritySettings.objects.get()
    assert client.get(reverse("admin:approvals_integritysettings_change", args=[own.pk])).url == address


def test_a_try_shows_what_the_typed_numbers_say_and_saves_nothing(erin, tool):
    client, address = signed_in(erin), reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    texts = {"first_output": "Send 100 to bob", "second_output": "Send 150 to bob"}
    tried = client.post(address, settings_form(**texts)).context["tried"]
    # words: 2 of 5 differ; numbers: 0.5
    assert [row["value"] for row in tried["signals"]][:2] == ["0.4", "0.5"]
    assert tried["score"] == 0.4375
    assert "allowed" in tried["headline"]
    stricter = client.post(address, settings_form(block_at="0.43", **texts)).context["tried"]
    assert "blocked" in stricter["headline"]
    other = client.post(address, settings_form(output_instability_weight="0", **texts)).context["tried"]
    assert other["score"] == 0.5
    nothing = client.post(address, settings_form()).context["tried"]
    assert nothing["score"] is None
    assert "blocked" in nothing["headline"]
    assert not IntegritySettings.objects.exists()


def test_a_try_compares_with_the_approved_prompt(erin, tool):
    client, address = signed_in(erin), reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    approve(client, tool, "Send it")
    assert client.post(address, settings_form(prompt=" send IT ")).context["tried"]["score"] == 0.0
    assert client.post(address, settings_form(prompt="Send all")).context["tried"]["score"] == 1.0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"block_at": "0"}, "block_at"),
        ({"block_at": "nan"}, "block_at"),
        ({"numeric_variance_weight": "2"}, "numeric_variance_weight"),
        ({"commit_within_s": "5"}, "commit_within_s"),
        ({"candidate_source": "model"}, "candidate_source"),
        (
            {"output_instability_weight": "0", "numeric_variance_weight": "0", "prompt_drift_weight": "0"},
            "output_instability_weight",
        ),
    ],
)
def test_settings_that_are_refused_say_so_at_their_field(erin, tool, fields, field):
    address = reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    page = signed_in(erin).post(address, settings_form(save="1", **fields))
    assert page.status_code == 200
    assert list(page.context["form"].errors) == [field]
    assert not IntegritySettings.objects.exists()


def test_who_may_only_look_can_try_and_not_save(world, erin, tool):
    address = reverse("admin:approvals_integritysettings_tool", args=[tool.pk])
    auditor = signed_in(world.person("aud", "auditors"))
    assert b'name="save"' not in auditor.get(address).content
    assert auditor.post(address, settings_form(prompt="x")).context["tried"] is not None
    assert auditor.post(address, settings_form(block_at="0.3", save="1")).status_code == 403
    assert not IntegritySettings.objects.exists()
    nobody = signed_in(world.charlie)
    assert nobody.get(address).status_code == 403
    assert nobody.get(reverse("admin:approvals_integritysettings_changelist")).status_code == 403
    assert signed_in(erin).post(address, settings_form(block_at="0.3", save="1")).status_code == 302


def test_a_tools_page_leads_to_its_scores(erin, tool):
    page = signed_in(erin).get(reverse("admin:tools_tool_change", args=[tool.pk]))
    assert reverse("admin:approvals_integritysettings_tool", args=[tool.pk]) in page.content.decode()


# approved prompts


def approve(client, tool, prompt, **more):
    form = {"tool": tool.pk, "prompt": prompt, "note": "", "agreed": "1"} | more
    return client.post(reverse("admin:approvals_promptbaseline_add"), form)


def test_approving_says_first_what_it_replaces_and_then_replaces_it(erin, tool):
    client = signed_in(erin)
    approve(client, tool, "Send it")
    first = PromptBaseline.objects.get()
    form = {"tool": tool.pk, "prompt": "Send it\nnow", "note": "new runbook"}
    page = client.post(reverse("admin:approvals_promptbaseline_add"), form)
    assert list(PromptBaseline.objects.all()) == [first]
    facts = dict(page.context["act"].facts)
    assert facts["SHA-256 of the new one"] == prompt_hash("send it now")
    assert "Send it" in facts["In force now"]
    answer = approve(client, tool, "Send it\nnow", note="new runbook")
    new = PromptBaseline.objects.in_force().get()
    assert answer.url == reverse("admin:approvals_promptbaseline_change", args=[new.pk])
    assert (new.note, new.approved_by) == ("new runbook", "erin")
    first.refresh_from_db()
    assert first.retired_at
    assert approve(client, tool, "SEND it now").status_code == 200
    assert PromptBaseline.objects.count() == 2


def test_retiring_is_a_post_of_those_who_approve(world, erin, tool):
    client = signed_in(erin)
    approve(client, tool, "Send it")
    address = reverse("admin:approvals_promptbaseline_retire", args=[PromptBaseline.objects.get().pk])
    client.get(address)
    assert signed_in(world.bob).post(address, {"reason": "x"}).status_code == 403
    assert PromptBaseline.objects.in_force().exists()
    client.post(address, {"reason": "out of date"})
    assert not PromptBaseline.objects.in_force().exists()
    assert AuditEvent.objects.get(type="baseline.retired").facts["why"] == "out of date"
    assert approve(signed_in(world.bob), tool, "Send it").status_code == 403


# proposals


def test_the_list_shows_and_finds_proposals(world, erin, agent, settings):
    client, page = signed_in(erin), reverse("admin:approvals_proposal_changelist")
    allowed, blocked = proposal_of(agent, world)[0], proposal_of(agent, world, APART)[0]
    settings.DEMO = False
    unscored = proposal_of(agent, world, None)[0]
    text = client.get(page).content.decode()
    assert "0.00 (blocks at 0.45)" in text

    def found(query):
        return set(client.get(f"{page}?{query}").context["cl"].result_list)

    assert found("") == {allowed, blocked, unscored}
    assert found(f"q={allowed.pk}") == {allowed}
    assert found(f"q={blocked.trace_id}") == {blocked}
    assert found("q=nonsense") == set()
    assert found("blocked__exact=1") == {blocked, unscored}
    assert found("candidate_source__exact=none") == {unscored}


def test_a_proposal_says_how_it_scored_and_who_tried_to_commit(world, erin, agent):
    proposal, answer = proposal_of(agent, world, title=HOSTILE)
    committed(agent, answer, {})
    committed(agent, answer)
    page = signed_in(erin).get(reverse("admin:approvals_proposal_change", args=[proposal.pk]))
    text = page.content.decode()
    assert "The score 0 stays below the threshold 0.45, so it is not blocked." in text
    assert [attempt["word"] for attempt in page.context["attempts"]] == ["accepted", "args_hash_mismatch"]
    assert page.context["status_label"] == "Done"
    assert reverse("admin:approvals_pendingaction_change", args=[proposal.pk]) in text
    assert "<script>alert" not in text
    assert "⟦U+202E⟧" in text


def test_a_blocked_proposal_says_so(world, erin, agent):
    proposal, _ = proposal_of(agent, world, APART)
    page = signed_in(erin).get(reverse("admin:approvals_proposal_change", args=[proposal.pk]))
    assert "reaches the threshold 0.45, so it is blocked." in page.content.decode()
    assert page.context["status_label"] == "Blocked by its score"
    assert "none issued" in page.content.decode()


def test_outputs_in_full_are_for_those_who_may_and_on_record(world, erin, agent):
    proposal, _ = proposal_of(agent, world, APART)
    address = reverse("admin:approvals_proposal_change", args=[proposal.pk])
    assert APART[1] not in signed_in(erin).get(address).content.decode()
    assert not AuditEvent.objects.filter(type="payload.read").exists()
    assert APART[1] in signed_in(world.bob).get(address).content.decode()
    event = AuditEvent.objects.get(type="payload.read")
    assert (event.actor, event.subject_kind, event.subject_id) == ("bob", "proposal", str(proposal.pk))


def test_a_proposal_is_neither_changed_nor_shown_to_everybody(world, agent):
    proposal, _ = proposal_of(agent, world)
    address = reverse("admin:approvals_proposal_change", args=[proposal.pk])
    client = signed_in(chief(world))
    assert client.post(address, {}).status_code == 405
    assert client.get(reverse("admin:approvals_proposal_add")).status_code == 403
    assert client.get(reverse("admin:approvals_proposal_delete", args=[proposal.pk])).status_code == 403
    assert client.get(address).status_code == 200
    assert signed_in(world.charlie).get(address).status_code in (403, 404)


def test_a_proposals_prompt_is_approved_from_its_page(world, erin, agent):
    proposal, _ = proposal_of(agent, world)
    address = reverse("admin:approvals_proposal_approve_prompt", args=[proposal.pk])
    assert signed_in(world.bob).post(address, {"reason": ""}).status_code == 403
    client = signed_in(erin)
    assert prompt_hash(PROMPT) in client.get(address).content.decode()
    assert not PromptBaseline.objects.exists()
    assert client.post(address, {"reason": "seen and good"}).status_code == 302
    baseline = PromptBaseline.objects.get()
    assert (baseline.prompt_hash, baseline.note) == (prompt_hash(PROMPT.upper()), "seen and good")
    assert client.post(address, {"reason": ""}).status_code == 409
    assert proposal_of(agent, world)[1]["signals"]["prompt_drift"] == 0.0
    _, answer = proposal_of(agent, world, prompt="Close every ticket.")
    assert answer["signals"]["prompt_drift"] == 1.0
    without, _ = proposal_of(agent, world, prompt="")
    assert client.post(reverse("admin:approvals_proposal_approve_prompt", args=[without.pk]), {}).status_code == 409


# commits and signing keys


def test_attempts_to_commit_are_found_by_what_they_named(world, erin, agent):
    proposal, answer = proposal_of(agent, world)
    committed(agent, answer | {"commit_token": "mo1.00000000.e30.AAAA"})
    committed(agent, answer)
    good, forged = Commit.objects.all()
    client, page = signed_in(erin), reverse("admin:approvals_commit_changelist")

    def found(query):
        return list(client.get(f"{page}?{query}").context["cl"].result_list)

    assert found("") == [good, forged]
    assert set(found(f"q={proposal.pk}")) == {good, forged}
    assert found(f"q={answer['token_id']}") == [good]
    assert found(f"q={forged.trace_id}") == [forged]
    assert found("accepted__exact=0") == [forged]
    assert found("reason=bad_signature") == [forged]
    text = client.get(reverse("admin:approvals_commit_change", args=[forged.pk])).content.decode()
    assert "not signed here" in text


def test_rotating_leaves_tokens_good_and_revoking_refuses_them(world, agent):
    bob = signed_in(world.bob)
    _, kept = proposal_of(agent, world)
    _, lost = proposal_of(agent, world, title="Another")
    old = SigningKey.objects.get()
    rotate = reverse("admin:approvals_signingkey_rotate")
    assert old.kid in bob.get(rotate).content.decode()
    assert SigningKey.objects.count() == 1
    assert bob.post(rotate, {"reason": "every quarter"}).status_code == 302
    assert SigningKey.objects.get(status="active").kid != old.kid
    assert committed(agent, kept).json()["status"] == "committed"
    revoke = reverse("admin:approvals_signingkey_revoke", args=[old.pk])
    assert "1 open proposal holds" in bob.get(revoke).content.decode()
    assert bob.post(revoke, {"reason": ""}).status_code == 200
    assert bob.post(revoke, {"reason": "it was in a log"}).status_code == 302
    refused = committed(agent, lost)
    assert (refused.status_code, refused.json()["reason"]) == (401, "bad_signature")
    event = AuditEvent.objects.get(type="signing_key.revoked")
    assert (event.actor, event.facts["why"]) == ("bob", "it was in a log")
    assert bob.post(revoke, {"reason": "again"}).status_code == 409


def test_the_ring_is_turned_by_those_who_may(world, erin, agent):
    proposal_of(agent, world)
    key, rotate = SigningKey.objects.get(), reverse("admin:approvals_signingkey_rotate")
    revoke = reverse("admin:approvals_signingkey_revoke", args=[key.pk])
    auditor = signed_in(world.person("aud", "auditors"))
    assert auditor.post(rotate, {"reason": ""}).status_code == 403
    assert auditor.post(revoke, {"reason": "x"}).status_code == 403
    assert SigningKey.objects.get().status == "active"
    assert signed_in(erin).post(revoke, {"reason": "x"}).status_code == 302
    assert {key.status for key in SigningKey.objects.all()} == {"active", "revoked"}


@pytest.mark.parametrize("model", ["proposal", "commit", "integritysettings", "promptbaseline", "signingkey"])
def test_all_groups_see_the_lists_and_others_do_not(world, model):
    address = reverse(f"admin:approvals_{model}_changelist")
    for group in ("operators", "policy editors", "auditors"):
        assert signed_in(world.person(f"p-{group[:3]}", group)).get(address).status_code == 200
    assert signed_in(world.charlie).get(address).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_scores_are_tried_saved_and_read_in_a_browser_on_a_phone(page, live_server, world, agent):
    """Under the real content policy: the fixture fails on any complaint of the console."""
    dora = chief(world)
    proposal, _ = proposal_of(agent, world, APART, title=HOSTILE, prompt=HOSTILE)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{live_server.url}/admin/")
    page.fill("#id_username", dora.get_username())
    page.fill("#id_password", "correct horse battery")
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"{live_server.url}/admin/")

    page.goto(live_server.url + reverse("admin:approvals_integritysettings_changelist"))
    page.click("#integrity-list a:has-text('create_ticket')")
    page.fill("#id_block_at", "0.2")
    page.fill("#id_first_output", "Send 100 to bob")
    page.fill("#id_second_output", "Send 150 to bob")
    page.click("button[name=try]")
    assert "It would be blocked" in page.inner_text("#verdict")
    assert not IntegritySettings.objects.exists()
    page.click("button[name=save]")
    page.wait_for_selector("text=is scored by these settings")
    assert IntegritySettings.objects.get().block_at == 0.2

    page.goto(live_server.url + reverse("admin:approvals_proposal_change", args=[proposal.pk]))
    assert "⟦U+202E⟧" in page.inner_text("#evidence")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.click("text=Approve this prompt as baseline…")
    page.click("#act-form button[type=submit]")
    page.wait_for_selector("text=in force")
    assert PromptBaseline.objects.get().prompt_hash == prompt_hash(HOSTILE)
