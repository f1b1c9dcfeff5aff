"""Calls a JSON endpoint that an operator described. Goes out by telemetry/egress only."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from telemetry import egress
from telemetry.canonical import NotCanonical, canonical_bytes, parse
from telemetry.connections import release_connection
from telemetry.encryption import CannotOpen, open_sealed
from telemetry.models import Span
from tools.contract import Execution, Ran, ToolCall
from tools.snapshot import EndpointView, ToolView

SEALED_FOR = "endpoint.secret"
MOST_BYTES = 8 * 1024 * 1024
REFUSED_INPUT = (400, 404, 410, 422)
MAY_HAVE_RUN = (408, 409, 425)
_EGRESS_CODES = {
    "refused_address": "egress_refused",
    "bad_url": "egress_refused",
    "redirect_refused": "egress_refused",
    "unreachable": "tool_unreachable",
    "timeout": "tool_timeout",
    "too_large": "tool_output_invalid",
    "bad_response": "tool_failed",
}


def execute(call: ToolCall) -> Execution:
    assert call.tool
    endpoint = call.tool.endpoint
    if endpoint is None:
        return Execution("tool_unreachable", Ran.NO, detail="The tool has no endpoint.")
    try:
        url, body = _request(endpoint, call.arguments)
        headers = _headers(call, endpoint)
    except _NotASegment as problem:
        return Execution("tool_error", Ran.NO, detail=str(problem))
    except CannotOpen:
        return Execution("tool_unreachable", Ran.NO, detail="The credential can't be opened with the present keys.")
    release_connection()
    try:
        response = _asked(call, endpoint, url, headers, body)
    except egress.EgressError as error:
        if call.cancellation is not None and call.cancellation.is_cancelled:
            has_run = error.written and not call.tool.read_only
            return Execution("call_cancelled", Ran.UNKNOWN if has_run else Ran.NO, detail="The call was taken back.")
        return _failed(error, read_only=call.tool.read_only)
    return _answer(response, call.tool)


def _asked(
    call: ToolCall, endpoint: EndpointView, url: str, headers: Mapping[str, str], body: bytes | None
) -> egress.Response:
    assert call.tool
    # Of the address only the host: what stands behind it is made of arguments.
    host = urlsplit(endpoint.url).hostname or ""
    with call.children.sent(call.trace, Span.Kind.UPSTREAM, f"{endpoint.method} {host}") as span:
        span.attributes = {"server.address": host, "http.request.method": endpoint.method}
        response = egress.request(
            endpoint.method,
            url,
            headers={**headers, "traceparent": span.trace.traceparent},
            body=body,
            timeout_s=float(call.tool.timeout_s),
            max_bytes=MOST_BYTES,
            abortable=call.cancellation.then if call.cancellation else None,
        )
        span.attributes["http.response.status_code"] = response.status
        span.error_type = str(response.status) if response.status >= 400 else ""
        return response


class _NotASegment(ValueError):
    """An argument would lead to another address than the operator's."""


def _request(endpoint: EndpointView, arguments: Mapping[str, Any]) -> tuple[str, bytes | None]:
    url, rest = endpoint.url, dict(arguments)
    for name in list(rest):
        if "{" + name + "}" in url:
            url = url.replace("{" + name + "}", quote(_text(rest.pop(name)), safe=""))
    _refuse_other_path(endpoint.url, url)
    if endpoint.method in ("GET", "DELETE"):
        fixed = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        if taken := fixed & set(rest):
            raise _NotASegment(f"{', '.join(sorted(taken))} is fixed by the address.")
        query = urlencode({name: _text(value) for name, value in sorted(rest.items())})
        return (f"{url}{'&' if '?' in url else '?'}{query}" if query else url), None
    return url, canonical_bytes(rest)


def _refuse_other_path(template: str, filled: str) -> None:
    """Every segment stays a segment: none became empty, “.” or “..”, which would lead elsewhere."""
    wanted, found = (url.partition("?")[0].split("/") for url in (template, filled))
    for before, after in zip(wanted, found, strict=True):
        if before != after and after in ("", ".", ".."):
            raise _NotASegment("An argument stands in the address and can't be empty, “.” or “..”.")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _headers(call: ToolCall, endpoint: EndpointView) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if endpoint.method not in ("GET", "DELETE"):
        headers["Content-Type"] = "application/json"
    if call.tool and not call.tool.read_only:
        # The call has a name downstream too, so that an endpoint can tell a second delivery of it.
        headers["Idempotency-Key"] = call.permit.action_id if call.permit else call.trace.span_id
    if endpoint.secret_header and endpoint.sealed_secret:
        secret = open_sealed(endpoint.sealed_secret, purpose=SEALED_FOR, context=call.tool_name)
        headers[endpoint.secret_header] = secret.decode()
    return headers


def _failed(error: egress.EgressError, *, read_only: bool) -> Execution:
    code = _EGRESS_CODES[error.kind]
    if not error.written:
        return Execution("tool_unreachable" if code == "tool_timeout" else code, Ran.NO, detail=error.detail)
    if code in ("tool_unreachable", "egress_refused"):
        # It was asked and then did not answer, or sent us elsewhere: it may have acted.
        code = "tool_failed"
    return Execution(code, Ran.NO if read_only else Ran.UNKNOWN, detail=error.detail)


def _answer(response: egress.Response, tool: ToolView) -> Execution:
    if response.status in REFUSED_INPUT:
        return Execution("tool_error", Ran.NO, detail=f"The endpoint refused with status {response.status}.")
    if 400 <= response.status < 500 and response.status not in MAY_HAVE_RUN:
        # Not this input's fault, and not for ever: nothing ran, and the same intention may try again.
        return Execution("tool_unreachable", Ran.NO, detail=f"The endpoint turned the call away: {response.status}.")
    if response.status >= 400:
        return Execution("tool_failed", Ran.UNKNOWN, detail=f"The endpoint answered status {response.status}.")
    if not response.body:
        return Execution("allowed", Ran.YES, output={})
    try:
        output = parse(response.body, max_bytes=len(response.body))
    except NotCanonical as problem:
        return Execution("tool_output_invalid", Ran.YES, detail=f"The endpoint's answer: {problem.detail}")
    found = output if isinstance(output, dict) else {"result": output}
    problems = tool.output_validator.problems(found) if tool.output_validator else []
    if problems:
        return Execution("tool_output_invalid", Ran.YES, detail=f"{problems[0].path}: {problems[0].message}")
    return Execution("allowed", Ran.YES, output=found)
