from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class PriceOverride(models.Model):
    """What an operator says a model costs, before the table of published prices is asked."""

    provider = models.CharField(
        max_length=40,
        help_text="As spans name it, in lower case, e.g. openai, or a name of your own for an internal model.",
    )
    model = models.CharField(max_length=120, help_text="Exactly as spans name it, e.g. gpt-4o.")
    input_usd = models.DecimalField(
        "input, USD per million tokens",
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0)],
        help_text="e.g. 2.50",
    )
    output_usd = models.DecimalField(
        "output, USD per million tokens",
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0)],
        help_text="e.g. 10.00",
    )
    note = models.CharField(max_length=200, blank=True, default="", help_text="e.g. our contract of 2026.")
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["provider", "model"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "model"], name="one_price_of_a_model"),
            models.CheckConstraint(
                condition=models.Q(input_usd__gte=0, output_usd__gte=0), name="price_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.model}"
