from typing import ClassVar

from django.db import models
from django.utils import timezone


class Customer(models.Model):
    """A company in the demonstration's CRM. Its status is any word."""

    name = models.CharField(max_length=120, unique=True)
    status = models.CharField(max_length=80, default="active")

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return self.name


class Ticket(models.Model):
    """A support ticket of a customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="tickets")
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True, default="")
    priority = models.CharField(max_length=40, default="medium")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return self.title


class Message(models.Model):
    """A message to a channel; in the demonstration sending is storing."""

    channel = models.CharField(max_length=120)
    message = models.TextField()
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"{self.channel}: {self.message[:60]}"
