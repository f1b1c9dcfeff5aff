from typing import ClassVar

from django.db import models
from django.utils import timezone


class Patient(models.Model):
    """Somebody whom the clinic knows; the demonstration holds no name."""

    code = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code


class ClinicVisit(models.Model):
    """A booked visit. A slot has room for many, and each booking is one."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="visits")
    slot = models.DateTimeField()
    booked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["slot"]

    def __str__(self) -> str:
        return f"{self.patient} at {self.slot}"
