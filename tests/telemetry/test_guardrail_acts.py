"""What operators say of guardrails, where two of them say it at once."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from telemetry.guardrail_acts import laxer, save_settings, settings_in_force
from telemetry.models import AuditEvent, GuardrailSettings
from telemetry.recorder import SYSTEM

pytestmark = pytest.mark.django_db


def settings(**fields):
    return GuardrailSettings(pk=1, **fields)


def test_settings_that_somebody_changed_meanwhile_are_not_overwritten():
    seen = settings_in_force()
    assert save_settings(seen, settings(pii=0.1), SYSTEM, timezone.now())
    with pytest.raises(ValidationError, match="meanwhile"):
        save_settings(seen, settings(pii=0.4), SYSTEM, timezone.now())
    assert settings_in_force().pii == 0.1
    assert AuditEvent.objects.filter(type="guardrails.changed").count() == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"sessions_mode": "mixed"}, {"sessions_mode": "advisory"}, ["sessions_mode"]),
        ({"sessions_mode": "mixed"}, {"sessions_mode": "hard_gate"}, []),
        ({"calls_mode": "advisory"}, {"calls_mode": "off"}, ["calls_mode"]),
        ({"calls_mode": "off"}, {"calls_mode": "advisory"}, []),
        ({"pii": 0.5}, {"pii": 0.51}, ["pii"]),
        ({"pii": 0.5}, {"pii": 0.49}, []),
        ({"switched_off": []}, {"switched_off": ["pii"]}, ["switched_off"]),
        ({"switched_off": ["pii"]}, {"switched_off": []}, []),
        # one is asked again, and another not any more
        ({"switched_off": ["pii"]}, {"switched_off": ["secrets"]}, ["switched_off"]),
        ({"pii": 0.9, "custom": 0.1}, {"pii": 0.1, "custom": 0.9}, ["custom"]),
    ],
)
def test_what_is_laxer(before, after, expected):
    assert laxer(settings(**before), settings(**after)) == expected
