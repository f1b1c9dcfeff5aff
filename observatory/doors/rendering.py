"""An outcome of the one door as an HTTP answer."""

from typing import Any

from rest_framework.response import Response

from observatory.doors.problem import problem
from tools.contract import Outcome


def rendered(outcome: Outcome) -> Response:
    """The tool's own object, or a problem document."""
    response = _answer(outcome) if outcome.is_answer else _problem(outcome)
    response["X-Trace-Id"] = outcome.trace.trace_id
    response["traceparent"] = outcome.trace.traceparent
    if outcome.replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def _answer(outcome: Outcome) -> Response:
    body: dict[str, Any] = dict(outcome.body)
    if outcome.replayed and "idempotent_replay" in body:
        body["idempotent_replay"] = True
    return Response(body)


def _problem(outcome: Outcome) -> Response:
    return problem(outcome.reason, outcome.detail, trace_id=outcome.trace.trace_id, facts=outcome.facts)
