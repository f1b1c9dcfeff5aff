"""Approved prompts and how proposals are scored: who is in force, what is refused, what is on record."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from approvals.baselines import approve_baseline, retire_baseline
from approvals.integrity_acts import integrity_of, save_integrity
from approvals.models import IntegritySettings, PromptBaseline
from approvals.scoring import prompt_hash
from telemetry.models import AuditEvent
from telemetry.recorder import Actor
from tools.models import Tool

pytestmark = pytest.mark.django_db
BOB = Actor("operator", "2", "bob")


@pytest.fixture
def tool(world):
    return Tool.objects.get(name="send_message")


def events(*types):
    found = AuditEvent.objects.filter(type__in=types).order_by("id")
    return [(event.type, event.actor, event.subject) for event in found]


def approve(tool, prompt, note=""):
    return approve_baseline(tool, prompt, note, BOB, timezone.now())


def test_an_approved_prompt_is_in_force_and_retires_the_one_before(tool):
    first = approve(tool, "Send it", "from the runbook")
    second = approve(tool, "Send it  now")
    first.refresh_from_db()
    assert first.retired_at == second.approved_at
    assert list(PromptBaseline.objects.in_force()) == [second]
    assert (second.approved_by, second.prompt_hash) == ("bob", prompt_hash("send it now"))
    assert events("baseline.approved", "baseline.retired") == [
        ("baseline.approved", "bob", "send_message"),
        ("baseline.retired", "bob", "send_message"),
        ("baseline.approved", "bob", "send_message"),
    ]
    assert AuditEvent.objects.filter(type="baseline.approved").earliest("id").facts["note"] == "from the runbook"


def test_another_tools_baseline_is_left_alone(tool):
    other = approve(Tool.objects.get(name="create_ticket"), "Open a ticket")
    approve(tool, "Send it")
    other.refresh_from_db()
    assert other.retired_at is None


@pytest.mark.parametrize("prompt", ["", " \n\t", "SEND   it"])
def test_a_prompt_that_says_nothing_new_is_refused(tool, prompt):
    approve(tool, "Send it")
    with pytest.raises(ValidationError):
        approve(tool, prompt)
    assert PromptBaseline.objects.count() == 1
    assert len(events("baseline.approved", "baseline.retired")) == 1


def test_a_stored_prompt_shows_no_secret_and_hides_nothing(tool):
    prompt = "Pay with 4111 1111 1111 1111\nto\u202e bob\x00"
    kept = approve(tool, prompt)
    kept.refresh_from_db()
    assert "4111" not in kept.prompt_masked
    assert "⟦U+202E⟧" in kept.prompt_masked
    assert kept.prompt_hash == prompt_hash(prompt)


def test_a_retired_baseline_may_be_approved_again_and_is_retired_once(tool):
    first = approve(tool, "Send it")
    assert retire_baseline(first, BOB, timezone.now(), "out of date") is True
    assert retire_baseline(first, BOB, timezone.now()) is False
    assert PromptBaseline.objects.in_force().count() == 0
    assert AuditEvent.objects.get(type="baseline.retired").facts["why"] == "out of date"
    assert approve(tool, "Send it").pk != first.pk


def test_what_fails_to_be_recorded_is_not_done(tool, monkeypatch):
    first = approve(tool, "Send it")

    def fails(type_, *args, **data):
        if type_ == "baseline.approved":
            raise IntegrityError

    monkeypatch.setattr("approvals.baselines.record_event", fails)
    with pytest.raises(IntegrityError):
        approve(tool, "Send it now")
    assert list(PromptBaseline.objects.in_force()) == [first]


def chosen(tool, **fields):
    found = integrity_of(tool)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def test_settings_when_saved_are_in_force_with_before_and_after_on_record(tool):
    save_integrity(chosen(tool, block_at=0.3, prompt_drift_weight=0.5), BOB)
    save_integrity(chosen(tool, block_at=0.6), BOB)
    assert IntegritySettings.objects.get(tool=tool).block_at == 0.6
    first, second = AuditEvent.objects.filter(type="integrity.changed").order_by("id")
    assert (first.actor, first.subject) == ("bob", "send_message")
    assert first.facts == {
        "block_at": {"from": "0.45", "to": "0.3"},
        "prompt_drift_weight": {"from": "0.2", "to": "0.5"},
    }
    assert second.facts == {"block_at": {"from": "0.3", "to": "0.6"}}


def test_settings_when_nothing_changes_leave_no_row_and_no_event(tool):
    assert save_integrity(chosen(tool), BOB) == {}
    assert not IntegritySettings.objects.exists()
    assert events("integrity.changed") == []


# in the demonstration, risk, source, endpoint -> the field that is refused
SOURCES = [
    (True, "high", "caller", "", None),
    (True, "high", "demo", "", None),
    (True, "low", "model", "", "candidate_source"),
    (True, "low", "model", "https://models.example.com/v1", None),
    (False, "high", "caller", "", "candidate_source"),
    (False, "medium", "caller", "", None),
    (False, "low", "demo", "", "candidate_source"),
    (False, "high", "model", "", "candidate_source"),
    (False, "high", "model", "https://models.example.com/v1", None),
    (False, "high", "", "", None),
]


@pytest.mark.parametrize(("demo", "risk", "source", "url", "refused"), SOURCES)
def test_a_source_that_can_not_be_trusted_is_refused(tool, settings, demo, risk, source, url, refused):
    settings.DEMO, settings.MODEL_URL = demo, url
    Tool.objects.filter(pk=tool.pk).update(risk=risk)
    wanted = chosen(tool, candidate_source=source, block_at=0.3)
    if refused is None:
        assert "block_at" in save_integrity(wanted, BOB)
    else:
        with pytest.raises(ValidationError) as problem:
            save_integrity(wanted, BOB)
        assert list(problem.value.message_dict) == [refused]
        assert not IntegritySettings.objects.exists()


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"block_at": 0.0}, "block_at"),
        ({"block_at": 1.01}, "block_at"),
        ({"numeric_variance_weight": -0.1}, "numeric_variance_weight"),
        (
            {"output_instability_weight": 0.0, "numeric_variance_weight": 0.0, "prompt_drift_weight": 0.0},
            "output_instability_weight",
        ),
        ({"commit_within_s": 29}, "commit_within_s"),
        ({"commit_within_s": 86_401}, "commit_within_s"),
        ({"candidate_source": "oracle"}, "candidate_source"),
    ],
)
def test_settings_that_measure_nothing_are_refused(tool, fields, refused):
    with pytest.raises(ValidationError) as problem:
        save_integrity(chosen(tool, **fields), BOB)
    assert list(problem.value.message_dict) == [refused]
    assert not IntegritySettings.objects.exists()
