"""What a call came to, as an HTTP answer."""

from typing import Any

from rest_framework.response import Response

from observatory.calling import Answer
from observatory.committed import CommitAnswer
from observatory.doors.problem import problem
from telemetry.trace_context import TraceContext
from tools.contract import Outcome, Stop


def answered(answer: Answer, trace: TraceContext) -> Response:
    """Whatever a call by name came to; `trace` is the one that it was made under."""
    if isinstance(answer, Outcome):
        return rendered(answer)
    response = problem(answer.reason, answer.detail) if isinstance(answer, Stop) else rendered_commit(answer)
    response["X-Trace-Id"] = trace.trace_id
    response["traceparent"] = trace.traceparent
    return response


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


def rendered_commit(answer: CommitAnswer) -> Response:
    """Plain JSON for what was committed or refused; a problem document where the tool itself failed."""
    if answer.body is not None:
        response = Response(dict(answer.body), status=answer.reason.status)
    else:
        facts = {**answer.facts, "commit_id": answer.commit_id}
        response = problem(answer.reason, answer.detail, facts=facts)
    if "retry_after_s" in answer.facts:
        response["Retry-After"] = str(answer.facts["retry_after_s"])
    if answer.reason.status == 401:
        # Of the token, not of the key: a client that asks for another key would ask in vain.
        response["WWW-Authenticate"] = 'CommitToken realm="mcp-observatory"'
    if answer.replayed:
        response["Idempotency-Replayed"] = "true"
    return response
