"""Who is logged in to admin."""

from typing import Any

from django.test import Client


def signed_in(person: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(person)
    return client


def chief(world: Any) -> Any:
    """Somebody who may do everything in admin, and owns no agent."""
    dora = world.person("dora")
    dora.is_superuser = True
    dora.save()
    return dora
