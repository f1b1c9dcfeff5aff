from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from telemetry.models.session import Session

_BOUNDS = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def _threshold(default: float, help_text: str) -> "models.FloatField[float, float]":
    return models.FloatField(default=default, validators=_BOUNDS, help_text=help_text)


class Mode(models.TextChoices):
    """What a violation does. Order: the later, the stricter."""

    ADVISORY = "advisory", "Advisory: recorded only"
    MIXED = "mixed", "Mixed: personal data, secrets and injection deny; the rest is recorded"
    HARD_GATE = "hard_gate", "Hard gate: every violation denies"


class GuardrailSettings(models.Model):
    """The installation's one row: how strict guardrails are at least. Sessions may ask for more, never for less."""

    class CallsMode(models.TextChoices):
        OFF = "off", "Off: nothing is looked at"
        ADVISORY = Mode.ADVISORY.value, Mode.ADVISORY.label
        MIXED = Mode.MIXED.value, Mode.MIXED.label
        HARD_GATE = Mode.HARD_GATE.value, Mode.HARD_GATE.label

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    sessions_mode = models.CharField(
        "in sessions",
        max_length=9,
        choices=Mode.choices,
        default=Mode.ADVISORY,
        help_text="The least strict mode of every session; a session may ask for a stricter one.",
    )
    calls_mode = models.CharField(
        "for calls outside sessions",
        max_length=9,
        choices=CallsMode.choices,
        default=CallsMode.OFF,
        help_text="For calls that name no session, whichever way they come in.",
    )
    pii = _threshold(0.5, "Personal data. A score above this is a violation: 0 means any finding, 1 means none ever.")
    secrets = _threshold(0.5, "Keys, tokens, passwords.")
    injection = _threshold(0.6, "Texts that give instructions to the model: injection and jailbreaks.")
    toxicity = _threshold(0.8, "Insults and threats. Needs the optional package alt-profanity-check.")
    custom = _threshold(0.5, "What detectors of your own look for.")
    switched_off = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="Built-in detectors that are not asked."
    )
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    THRESHOLDS: ClassVar = ("pii", "secrets", "injection", "toxicity", "custom")

    class Meta:
        verbose_name = verbose_name_plural = "guardrail settings"
        default_permissions: ClassVar = ("change", "view")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="guardrails_have_one_row"),
            models.CheckConstraint(
                condition=Q(sessions_mode__in=["advisory", "mixed", "hard_gate"]), name="guardrails_sessions_mode_known"
            ),
            models.CheckConstraint(
                condition=Q(calls_mode__in=["off", "advisory", "mixed", "hard_gate"]),
                name="guardrails_calls_mode_known",
            ),
            *[
                models.CheckConstraint(
                    condition=Q(**{f"{name}__gte": 0.0, f"{name}__lte": 1.0}), name=f"guardrails_{name}_is_a_score"
                )
                for name in ("pii", "secrets", "injection", "toxicity", "custom")
            ],
        ]

    def __str__(self) -> str:
        return "Guardrails"


class RemoteDetector(models.Model):
    """A detector of the operator's own, asked over HTTP. It reads full texts: its address must be one to trust."""

    class Category(models.TextChoices):
        PII = "pii", "Personal data"
        SECRETS = "secrets", "Secrets"
        INJECTION = "injection", "Injection"
        TOXICITY = "toxicity", "Toxicity"
        CUSTOM = "custom", "Your own"

    name = models.SlugField(
        max_length=40, unique=True, help_text="As signals name it, e.g. brand-words. Not the name of a built-in one."
    )
    category = models.CharField(max_length=9, choices=Category.choices, default=Category.CUSTOM)
    url = models.CharField(
        "URL",
        max_length=500,
        help_text='Gets POST {"text", "stage", "category"}, answers {"score": 0 to 1}. Addresses inside your network '
        "are refused unless OBSERVATORY_EGRESS_ALLOW names them.",
    )
    secret_header = models.CharField(
        max_length=60, blank=True, default="", help_text="Header that carries the credential, e.g. Authorization."
    )
    sealed_secret = models.BinaryField(null=True, editable=False)
    timeout_s = models.PositiveSmallIntegerField(
        "time-out (s)", default=2, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )
    enabled = models.BooleanField(default=True, help_text="Off: it is not asked.")
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        default_permissions: ClassVar = ("add", "change", "delete", "view")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(category__in=["pii", "secrets", "injection", "toxicity", "custom"]),
                name="remote_detector_category_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class KeptSignal(models.Model):
    """What a detector said of a content in a session, to be said again of the same content and of no other."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=16)
    content = models.CharField(
        max_length=64, help_text="Keyed digest: short contents could be guessed from a plain one."
    )
    signal = models.JSONField()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            # also the index by which a step finds what it may reuse
            models.UniqueConstraint(fields=["session", "content", "fingerprint"], name="signal_kept_once"),
        ]

    def __str__(self) -> str:
        return self.fingerprint
