"""What operators say models cost: each change is checked, made, and an audit event. What was priced before stays."""

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from telemetry.models import PriceOverride
from telemetry.recorder import Actor, Subject, record_event

_FIELDS = ("provider", "model", "input_usd", "output_usd", "note")


def save_price(price: PriceOverride, actor: Actor, now: dt.datetime) -> None:
    """Spans that are reported from now on cost this. Raises ValidationError. Locks: the row."""
    price.provider, price.model = price.provider.strip().lower(), price.model.strip()
    price.changed_at = now
    try:
        with transaction.atomic():
            price.full_clean(validate_constraints=False)
            before = PriceOverride.objects.select_for_update().filter(pk=price.pk).first()
            price.save()
            changed = _changes(before, price)
            if changed:
                record_event("price.changed" if before else "price.created", actor, _subject(price), data=changed)
    except IntegrityError as error:
        raise ValidationError({"model": "This model has a price already; change that one."}) from error


def delete_price(price_id: int, actor: Actor, why: str = "") -> bool:
    """The published price holds again; False where it was removed already."""
    with transaction.atomic():
        price = PriceOverride.objects.select_for_update().filter(pk=price_id).first()
        if price is None:
            return False
        subject, data = _subject(price), _changes(price, None)
        price.delete()
        record_event("price.deleted", actor, subject, data=data | {"reason": why})
    return True


def _subject(price: PriceOverride) -> Subject:
    return Subject("price", str(price.pk), str(price))


def _changes(before: PriceOverride | None, after: PriceOverride | None) -> dict[str, Any]:
    """What differs, as text. Shape: {field: {"from": ..., "to": ...}}, with null where there was or is no row."""
    pairs = {name: (_text(before, name), _text(after, name)) for name in _FIELDS}
    return {name: {"from": old, "to": new} for name, (old, new) in pairs.items() if old != new}


def _text(price: PriceOverride | None, name: str) -> str | None:
    if price is None:
        return None
    value = getattr(price, name)
    return str(value) if name in ("provider", "model", "note") else f"{value:.6f}"
