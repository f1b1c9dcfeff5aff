"""The agent's name for one intention: looked up, claimed with what runs, settled with the outcome.

A claim is written in the transaction that makes the run (or the held action) durable. So a call that is stopped
has claimed nothing, and there is nothing to release. Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q

from telemetry.canonical import canonical_bytes, digest
from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import open_payload, store_payload
from tools.contract import Stop, ToolCall, Verdict, deny
from tools.models import IdempotencyRecord
from tools.output_paths import mask_paths

KEPT_FOR = dt.timedelta(hours=24)
LEASE_BEYOND_TIMEOUT = dt.timedelta(seconds=30)
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
Status = IdempotencyRecord.Status


class ClaimLostError(Exception):
    """Another call claimed the same key first."""


@dataclass(frozen=True, slots=True)
class Claim:
    record_id: int
    fence: int


def key_problem(key: str) -> str | None:
    """What is wrong with a key as sent, or None."""
    if not _KEY.match(key):
        return "Idempotency-Key is 1 to 255 visible ASCII characters."
    return None


def intention(call: ToolCall) -> tuple[str, str]:
    """What a key names: (tool, digest). To propose a call, and to commit that proposal, are intentions of their own."""
    assert call.tool
    if call.proposal_id:
        committed = {"args_sha256": call.digest, "proposal_id": call.proposal_id}
        return f"{call.tool.name}_commit", digest(canonical_bytes(committed))
    if call.intent is None:
        return call.tool.name, call.digest
    proposed = {
        "args_sha256": call.digest,
        "prompt": call.intent.prompt,
        "candidate_outputs": list(call.intent.candidate_outputs or ()),
    }
    return f"{call.tool.name}_propose", digest(canonical_bytes(proposed))


def applies(call: ToolCall) -> bool:
    """Keys name intentions to change something; reading twice is reading."""
    return (
        call.idempotency_key is not None and call.tool is not None and not call.tool.read_only and call.permit is None
    )


def look_up(call: ToolCall, now: dt.datetime) -> Stop | None:
    """What an earlier call with this key means for this one; None where there was none."""
    assert call.key and call.tool
    record = (
        IdempotencyRecord.objects.select_related("result")
        .filter(agent_id=call.key.agent_id, tool_name=intention(call)[0], key=call.idempotency_key, expires_at__gt=now)
        .first()
    )
    return None if record is None else _meaning(record, call, now)


def _meaning(record: IdempotencyRecord, call: ToolCall, now: dt.datetime) -> Stop:
    if record.args_digest != intention(call)[1]:
        return deny("idempotency_key_reused", "This idempotency key was used with other arguments.", call)
    if record.status == Status.UNKNOWN:
        return deny("outcome_unknown", call=call)
    if record.status == Status.HELD and record.result_id is None:
        # Claimed by a commit, whose action says when it was cut off.
        return deny("idempotency_in_flight", "A commit with this key is running.", call, retry_after_s=1)
    if record.status == Status.RUNNING:
        if record.lease_until <= now:
            return deny("outcome_unknown", call=call)
        seconds = max(1, min(5, int((record.lease_until - now).total_seconds())))
        return deny("idempotency_in_flight", "A call with this key is running.", call, retry_after_s=seconds)
    stored = stored_answer(record.result)
    if stored is None:
        return deny("outcome_unknown", "The stored answer can't be read any more.", call)
    # A rule that came since may mask what the first answer still showed.
    body = mask_paths(stored["body"], call.decision.redact if call.decision else ())
    return Stop(Verdict.REPLAY, record.reason, stored["detail"], {**stored["facts"], "body": body}, call)


def stored_answer(payload: Payload | None) -> dict[str, Any] | None:
    if payload is None:
        return None
    try:
        found: dict[str, Any] = json.loads(open_payload(payload))
    except CannotOpen:
        return None
    return found


def store_answer(body: Any, detail: str, facts: Any, now: dt.datetime, *, until: dt.datetime | None = None) -> Payload:
    plaintext = canonical_bytes({"body": body, "detail": detail, "facts": facts})
    return store_payload(Payload.Purpose.RESULT, plaintext, (until or now) + KEPT_FOR, now)


def claim(
    call: ToolCall, now: dt.datetime, *, held_by: str | None = None, held_until: dt.datetime | None = None
) -> Claim | None:
    """The key is this call's, within the running transaction. Raises ClaimLostError where another was first.

    Locks: waits for a concurrent claim of the same key to commit or roll back.
    """
    if not applies(call):
        return None
    assert call.key and call.tool
    tool_name, args_digest = intention(call)
    status = Status.HELD if held_by else Status.RUNNING
    lease = now + dt.timedelta(seconds=call.tool.timeout_s) + LEASE_BEYOND_TIMEOUT
    with connection.cursor() as cursor:
        # A record past its time is taken over in the same statement: nobody else can slip in between.
        cursor.execute(
            "INSERT INTO tools_idempotencyrecord AS r (agent_id, tool_name, key, args_digest, status, fence,"
            " lease_until, reason, action_id, trace_id, created_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (agent_id, tool_name, key) DO UPDATE SET args_digest = EXCLUDED.args_digest,"
            " status = EXCLUDED.status, fence = r.fence + 1,"
            " lease_until = EXCLUDED.lease_until, reason = EXCLUDED.reason, result_id = NULL,"
            " action_id = EXCLUDED.action_id, trace_id = EXCLUDED.trace_id,"
            " created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at"
            " WHERE r.expires_at <= EXCLUDED.created_at RETURNING id, fence",
            [
                call.key.agent_id,
                tool_name,
                call.idempotency_key,
                args_digest,
                status,
                lease,
                "approval_required" if held_by else "",
                held_by,
                call.trace.trace_id,
                now,
                (held_until or now) + KEPT_FOR,
            ],
        )
        row = cursor.fetchone()
    if row is None:
        raise ClaimLostError(call.idempotency_key)
    return Claim(row[0], row[1])


def remember_held(claim: Claim, answer: Payload) -> None:
    """A repeat of the held call is given the same answer while its action waits."""
    IdempotencyRecord.objects.filter(pk=claim.record_id, fence=claim.fence).update(result=answer)


def settle(claim: Claim, code: str, payload: Payload, now: dt.datetime) -> bool:
    """The claim holds the outcome, also where it came after the lease; False where the fence is stale."""
    open_still = [Status.RUNNING, Status.UNKNOWN]
    return bool(
        IdempotencyRecord.objects.filter(pk=claim.record_id, fence=claim.fence, status__in=open_still).update(
            status=Status.DONE, reason=code, result=payload, expires_at=now + KEPT_FOR
        )
    )


def release(claim: Claim) -> bool:
    """Nothing ran: the key is free again."""
    return bool(
        IdempotencyRecord.objects.filter(pk=claim.record_id, fence=claim.fence, status=Status.RUNNING).delete()[0]
    )


def follow_action(action_id: Any, code: str, payload: Payload, now: dt.datetime, *, was_unclear: bool = False) -> None:
    """The record of the call that the action held has the answer that it came to, where there is one.

    An operator's finding also replaces the unclear answer (`was_unclear`) that the run itself had left.
    """
    if action_id is not None:
        waiting = Q(status=Status.HELD) | Q(status=Status.DONE, reason="outcome_unknown")
        if was_unclear:
            waiting |= Q(status=Status.DONE)
        IdempotencyRecord.objects.filter(waiting, action_id=action_id).update(
            status=Status.DONE, reason=code, result=payload, expires_at=now + KEPT_FOR
        )


def sweep(now: dt.datetime) -> tuple[int, int]:
    """Lapsed runs are marked unknown, old records are gone; how many of each. Safe to run twice at once."""
    lapsed = IdempotencyRecord.objects.filter(status=Status.RUNNING, lease_until__lte=now).update(status=Status.UNKNOWN)
    gone, _ = IdempotencyRecord.objects.swept(now).delete()
    return lapsed, gone
