from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from tools.models import Tool

_SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class CandidateSource(models.TextChoices):
    """Where the two outputs come from that a proposal is scored by."""

    AUTOMATIC = "", "Automatic"
    CALLER = "caller", "The caller sends them"
    MODEL = "model", "The configured model endpoint"
    DEMO = "demo", "The demonstration's generator"


class IntegritySettings(models.Model):
    """How proposals of one tool are scored: weights, threshold, source. A tool without a row has these defaults."""

    tool = models.OneToOneField(Tool, on_delete=models.PROTECT, related_name="integrity")
    output_instability_weight = models.FloatField(
        default=0.5, validators=_SHARE, help_text="How much it counts that two outputs use different words, e.g. 0.5."
    )
    numeric_variance_weight = models.FloatField(
        default=0.3, validators=_SHARE, help_text="How much it counts that their numbers differ, e.g. 0.3."
    )
    prompt_drift_weight = models.FloatField(
        default=0.2, validators=_SHARE, help_text="How much it counts that the prompt is not the baseline, e.g. 0.2."
    )
    block_at = models.FloatField(
        "block at",
        default=0.45,
        validators=_SHARE,
        help_text="A proposal with this score or a higher one is blocked, e.g. 0.45.",
    )
    candidate_source = models.CharField(
        max_length=8,
        choices=CandidateSource.choices,
        blank=True,
        default="",
        help_text="Automatic: the caller's outputs where the tool's risk is not high; else the model endpoint.",
    )
    commit_within_s = models.PositiveIntegerField(
        "commit within (s)",
        default=900,
        validators=[MinValueValidator(30), MaxValueValidator(86_400)],
        help_text="How long a commit token is valid, e.g. 900 for a quarter of an hour.",
    )

    class Meta:
        verbose_name_plural = "integrity settings"
        default_permissions: ClassVar = ("change", "view")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(output_instability_weight__range=(0, 1))
                & Q(numeric_variance_weight__range=(0, 1))
                & Q(prompt_drift_weight__range=(0, 1)),
                name="integrity_weights_are_shares",
            ),
            models.CheckConstraint(
                condition=Q(
                    output_instability_weight__gt=-F("numeric_variance_weight") - F("prompt_drift_weight"),
                ),
                name="integrity_weighs_something",
            ),
            models.CheckConstraint(condition=Q(block_at__gt=0, block_at__lte=1), name="integrity_block_at_is_a_score"),
            models.CheckConstraint(
                condition=Q(candidate_source__in=CandidateSource.values), name="integrity_source_known"
            ),
            models.CheckConstraint(
                condition=Q(commit_within_s__range=(30, 86_400)), name="integrity_commit_within_a_day"
            ),
        ]

    def __str__(self) -> str:
        return f"integrity of {self.tool.name}"
