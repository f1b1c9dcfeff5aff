"""Kill switches."""

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from telemetry.recorder import Actor, Subject, record_event
from tools.models import KillSwitch


def _subject(switch: KillSwitch) -> Subject:
    return Subject("kill_switch", str(switch.pk), str(switch))


def engage(switch: KillSwitch, actor: Actor) -> KillSwitch:
    """What the switch names is frozen, from the next call on, in every process."""
    switch.engaged_by = actor.name
    try:
        with transaction.atomic():
            switch.full_clean(validate_constraints=False)
            switch.save(force_insert=True)
            record_event("switch.engaged", actor, _subject(switch), data={"reason": switch.reason})
    except IntegrityError as error:
        raise ValidationError(_why(str(error))) from error
    return switch


def _why(error: str) -> str:
    if "names_its_target" in error:
        return "“One agent” needs an agent, “One tool” a tool, and “Everything” neither."
    return "It is frozen already."


def release(switch: KillSwitch, actor: Actor, now: dt.datetime) -> bool:
    """The freeze is over; False where it was released already."""
    with transaction.atomic():
        if not KillSwitch.objects.engaged().filter(pk=switch.pk).update(released_at=now, released_by=actor.name):
            return False
        record_event("switch.released", actor, _subject(switch), data={"reason": switch.reason})
    return True
