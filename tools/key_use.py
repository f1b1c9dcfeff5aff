"""When a key was last used: written at most once a minute a key, in whatever transaction records the call."""

import datetime as dt

from django.db.models import Q

from tools.models import AgentKey

EVERY = dt.timedelta(minutes=1)
_written: dict[int, dt.datetime] = {}


def note_use(key_id: int, now: dt.datetime) -> None:
    last = _written.get(key_id)
    if last is not None and abs(now - last) < EVERY:
        return
    _written[key_id] = now
    AgentKey.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=now - EVERY), pk=key_id).update(last_used_at=now)
