"""Our own spans are sent on to a collector: in the order in which they were recorded, each at least once.

The place moves only after the collector has answered, so a worker that is killed before that sends the same batch
again. One worker sends at a time: it holds a lease, not a transaction, while it waits for the answer.
"""

import datetime as dt
import time
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telemetry import egress
from telemetry.connections import release_connection
from telemetry.models import Span, SpanExport
from telemetry.otel.writing import request_of
from telemetry.redaction import redact_text

NAME = "otlp"
BATCH = 500
# A span is dated when its statement ran and is seen when its transaction ends; what is dated earlier than this ago, and
# is not seen yet, would be passed over. Transactions that write spans take milliseconds.
SAFE_LAG = dt.timedelta(seconds=30)
TIMEOUT_S = 10.0
RUN_S = 60.0
# Longer than a run and its last request, so that only a dead worker's lease ends by itself.
LEASE = dt.timedelta(seconds=120)
WAIT_S, MOST_WAIT_S = 30, 3600
# The batch itself is not wanted: the same again would be refused again.
REFUSED = frozenset({400, 413, 422})
_CONTENT_TYPE = "application/x-protobuf"


@dataclass(slots=True)
class Place:
    """Where one worker's turn stands. `token` is the end of its lease, and nobody else's."""

    recorded_to: dt.datetime
    last_id: uuid.UUID | None
    token: dt.datetime


def send_spans_on() -> int:
    """How many spans the collector answered for. None are sent while another worker sends, or before a retry is due."""
    if not settings.OTLP_ENDPOINT:
        return 0
    place = _lease()
    if place is None:
        return 0
    ends, sent = time.monotonic() + RUN_S, 0
    try:
        while time.monotonic() < ends:
            spans = _next(place)
            if not spans or not _send(spans, place):
                break
            sent += len(spans)
    finally:
        _ours(place).update(leased_until=None)
    return sent


def collector_headers() -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS as a mapping. Raises ValueError for a text that is none."""
    found = {}
    for pair in filter(None, (part.strip() for part in settings.OTLP_HEADERS.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError("Headers are name=value, comma separated.")
        found[unquote(name.strip())] = unquote(value.strip())
    return found


def _lease() -> Place | None:
    """The place, for this worker alone; None where it is taken or must wait. The first run notes where to begin."""
    with transaction.atomic():
        SpanExport.objects.get_or_create(name=NAME, defaults={"recorded_to": Now()})
        free = Q(leased_until=None) | Q(leased_until__lt=Now())
        due = Q(retry_at=None) | Q(retry_at__lte=Now())
        found = SpanExport.objects.select_for_update(skip_locked=True).filter(free, due, name=NAME)
        row = found.annotate(now=Now()).first()
        if row is None:
            return None
        token: dt.datetime = row.now + LEASE
        SpanExport.objects.filter(name=NAME).update(leased_until=token)
        return Place(row.recorded_to, row.last_id, token)


def _ours(place: Place) -> QuerySet[SpanExport]:
    return SpanExport.objects.filter(name=NAME, leased_until=place.token)


def _next(place: Place) -> list[Span]:
    behind = Q(recorded_at__gt=place.recorded_to)
    if place.last_id is not None:
        behind |= Q(recorded_at=place.recorded_to, id__gt=place.last_id)
    spans = Span.objects.filter(
        behind,
        origin=Span.Origin.PIPELINE,
        recorded_at__gte=place.recorded_to,
        recorded_at__lt=Now() - SAFE_LAG,
    )
    return list(spans.order_by("recorded_at", "id")[:BATCH])


def _send(spans: list[Span], place: Place) -> bool:
    """Whether the collector answered for the spans, and the place moved."""
    release_connection()
    try:
        answer = egress.request(
            "POST",
            settings.OTLP_ENDPOINT.rstrip("/") + "/v1/traces",
            headers={**collector_headers(), "Content-Type": _CONTENT_TYPE},
            body=request_of(spans),
            timeout_s=TIMEOUT_S,
        )
    except (egress.EgressError, ValueError) as error:
        _failed(place, getattr(error, "detail", str(error)), WAIT_S)
        return False
    if 200 <= answer.status < 300:
        return _move(place, spans, *_refused_of(answer, len(spans)))
    said = f"The collector answered status {answer.status}."
    if answer.status in REFUSED:
        return _move(place, spans, len(spans), said)
    _failed(place, said, _seconds(answer.headers.get("Retry-After")))
    return False


def _move(place: Place, spans: list[Span], refused: int, error: str) -> bool:
    """The spans are behind us; False where the lease ran out meanwhile and another worker has the place."""
    last = spans[-1]
    moved = _ours(place).update(
        recorded_to=last.recorded_at,
        last_id=last.id,
        sent=F("sent") + len(spans) - refused,
        refused=F("refused") + refused,
        sent_at=Now(),
        retry_at=None,
        last_error=error[:300],
        **({"last_failed_at": Now()} if error else {}),
    )
    place.recorded_to, place.last_id = last.recorded_at, last.id
    return bool(moved)


def _failed(place: Place, error: str, wait_s: int) -> None:
    """Nothing moved; the same spans go out again after the wait."""
    _ours(place).update(last_error=error[:300], last_failed_at=Now(), retry_at=Now() + dt.timedelta(seconds=wait_s))


def _refused_of(answer: egress.Response, most: int) -> tuple[int, str]:
    """How many spans the collector would not take, and its words; none where its answer can't be read."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    except DecodeError:
        return 0, ""
    return min(max(partial.rejected_spans, 0), most), redact_text(partial.error_message)


def _seconds(retry_after: str | None) -> int:
    """Retry-After in seconds, bounded; a date or nothing is our own wait."""
    text = (retry_after or "").strip()
    return min(int(text), MOST_WAIT_S) if text.isascii() and text.isdigit() and len(text) < 10 else WAIT_S
