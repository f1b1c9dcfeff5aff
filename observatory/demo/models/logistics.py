from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from observatory.demo.models.crm import Customer


class Order(models.Model):
    """What a customer bought."""

    code = models.CharField(max_length=40, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code


class Shipment(models.Model):
    """One parcel of an order, under way until it is cancelled. Agents know it as SHP-<id>."""

    class Status(models.TextChoices):
        UNDER_WAY = "under_way", "Under way"
        CANCELLED = "cancelled", "Cancelled"

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="shipments")
    carrier = models.CharField(max_length=40)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.UNDER_WAY)
    cancel_reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(status__in=["under_way", "cancelled"]), name="shipment_status_known")
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def code(self) -> str:
        return f"SHP-{self.pk}"
