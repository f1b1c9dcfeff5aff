from typing import ClassVar

from django.db import models

from observatory.demo.models.crm import Customer


class Service(models.Model):
    """Something that customers depend on."""

    name = models.CharField(max_length=120, unique=True)
    customers = models.ManyToManyField(Customer, related_name="services")

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Something that went wrong with services."""

    code = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=300)
    services = models.ManyToManyField(Service, related_name="incidents")

    class Meta:
        ordering: ClassVar = ["code"]

    def __str__(self) -> str:
        return self.code
