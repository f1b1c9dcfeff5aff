import pytest

from tools.policy.effects import GATES, MODIFIERS, Effect, effect_of_error, strictest


def test_every_effect_is_a_gate_or_a_modifier_and_has_a_label() -> None:
    assert set(GATES) | MODIFIERS == set(Effect)
    assert not set(GATES) & MODIFIERS
    assert len({effect.label for effect in Effect}) == len(Effect)


def test_gates_from_loose_to_strict() -> None:
    assert [g.value for g in GATES] == ["allow", "require_approval", "require_two_phase", "deny"]
    assert strictest([Effect.REQUIRE_APPROVAL, Effect.DENY, Effect.ALLOW]) is Effect.DENY


@pytest.mark.parametrize(
    ("effect", "stands_for"),
    [
        ("allow", "require_approval"),
        ("require_approval", "require_approval"),
        ("require_two_phase", "require_two_phase"),
        ("deny", "deny"),
        ("rate", "require_approval"),
        ("redact", "require_approval"),
        ("dry_run", "require_approval"),
    ],
)
def test_an_error_stands_for_the_stricter_of_effect_and_approval(effect: str, stands_for: str) -> None:
    assert effect_of_error(Effect(effect)) == stands_for
