from typing import ClassVar

from django.db import models
from django.utils import timezone

from observatory.demo.models.crm import Customer, Ticket


class Transfer(models.Model):
    """Money that went to an account of the same bank."""

    amount = models.DecimalField(max_digits=12, decimal_places=2)
    to = models.CharField(max_length=80)
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.amount} to {self.to}"


class WireTransfer(models.Model):
    """Money that went to another bank."""

    amount = models.DecimalField(max_digits=12, decimal_places=2)
    destination_iban = models.CharField("destination IBAN", max_length=34)
    reason = models.CharField(max_length=300)
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.amount} to {self.destination_iban}"


class Invoice(models.Model):
    """An invoice that a customer paid."""

    code = models.CharField(max_length=40, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="invoices")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code


class Refund(models.Model):
    """Money of an invoice given back: once, so a second request for the same is the first one."""

    invoice = models.OneToOneField(Invoice, on_delete=models.CASCADE, related_name="refund")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    refunded_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.amount} of {self.invoice}"


class PaymentCard(models.Model):
    """A customer's card; frozen, nobody can pay with it."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, related_name="card")
    frozen = models.BooleanField(default=False)
    freeze_reason = models.CharField(max_length=300, blank=True, default="")
    unfrozen_by = models.ForeignKey(Ticket, on_delete=models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return f"card of {self.customer}"
