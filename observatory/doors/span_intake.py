"""What both doors for spans do with a batch: count it, check it, price it, write it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from observatory.doors.problem import Refusal
from telemetry.ingest.batch import Reporter, read_batch
from telemetry.ingest.bounds import OLDEST
from telemetry.ingest.faults import Rejected
from telemetry.otel.answers import sentence
from telemetry.prices import add_costs
from telemetry.reported_spans import write_spans
from tools.rates import RateStoreUnavailableError
from tools.snapshot import KeyView
from tools.span_quota import take_quota


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch. `accepted` and `duplicates` count; each rejected span says why."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]


def take_in(spans: Sequence[Any], key: KeyView, origin: str) -> Receipt:
    """The good spans are stored, each once. Raises Refusal where the key has no quota left or no span is good."""
    if not spans:
        return Receipt(0, 0, [])
    _count(spans, key)
    now = timezone.now()
    # Never older than spans are kept: the sweep has dropped the day's partition, or is about to.
    oldest = min(OLDEST, dt.timedelta(days=settings.SPAN_DAYS))
    rows, rejected = read_batch(spans, Reporter(key.agent_name, key.public_id, origin), now, oldest)
    if not rows:
        raise Refusal("spans_refused", sentence(rejected), rejected=[one.as_json() for one in rejected])
    add_costs(rows)
    written = write_spans(rows, now)
    return Receipt(written, len(rows) - written, rejected)


def _count(spans: Sequence[Any], key: KeyView) -> None:
    """Before anything is written: a batch that does not fit is not kept in part."""
    try:
        quota = take_quota(key.public_id, len(spans))
    except RateStoreUnavailableError:
        raise Refusal("rate_store_unavailable") from None
    if not quota.allowed:
        sentence = f"The key may report {quota.limit} spans a minute; none of these {len(spans)} are kept."
        raise Refusal("span_quota_used_up", sentence, retry_after_s=quota.retry_after_s)
