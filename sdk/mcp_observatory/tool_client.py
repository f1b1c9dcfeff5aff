"""Tool calls over REST, for agents and the programs around them."""

import json
import random as randomness
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

from mcp_observatory.connections import Address, Answer, Connections, Lost, NotSent, Request, TooLarge
from mcp_observatory.errors import NotReachable, OutcomeUnknown, StillWaiting, ToolCallError
from mcp_observatory.problems import error_of, parsed, refused_commit
from mcp_observatory.retrying import Patience, Repeat, last_word, leaves_doubt
from mcp_observatory.tool_result import ToolResult
from mcp_observatory.trace_context import current_traceparent

LONGEST_WAIT_S = 30
SHORTEST_POLL_S = 0.25
NOT_ENDED = frozenset({"pending", "approved", "executing"})
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")
_USER_AGENT = "mcp-observatory-python/1"


class Refusal(Protocol):
    """How an answer that is no success becomes an error, where that is not as everywhere."""

    def __call__(self, answer: Answer, *, secret: str) -> ToolCallError: ...


class ToolClient:
    """One agent's way to its tools; safe to share between threads. The key goes to the server and nowhere else.

    Units: `timeout_s` bounds each wait for the server, not the whole of a call with its retries.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        retries: int = 2,
        sleep: Callable[[float], object] = time.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        # Checked here, for http.client would repeat a bad key in its own exception.
        if not _VISIBLE_ASCII.fullmatch(api_key):
            raise ValueError("api_key is 1 to 255 visible ASCII characters")
        if timeout_s <= 0 or retries < 0:
            raise ValueError("timeout_s is above 0 and retries at least 0")
        self._address = Address.of(base_url)
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._patience = Patience(retries, sleep, random)
        self._connections = Connections(self._address)
        # ETag and body; read and replaced whole, so without a lock, which a forked child could find held.
        self._listing: tuple[str, bytes] | None = None

    def __repr__(self) -> str:
        return f"ToolClient({str(self._address)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """No connection is open. A later call opens one again."""
        self._connections.close()

    def list_tools(self) -> list[dict[str, Any]]:
        """What this key may see. A listing that did not change is not sent again; the caller may alter what it gets."""
        known = self._listing
        headers = {"If-None-Match": known[0]} if known else {}
        answer = self._send(self._request("GET", "/mcp/tools", headers=headers), Repeat.READS)
        body = known[1] if answer.status == 304 and known else answer.body
        tools = _object(answer, body, acts=False).get("tools")
        if not isinstance(tools, list):
            raise _unreadable(answer, acts=False)
        tag = answer.headers.get("etag")
        if answer.status != 304 and tag and tag.isascii() and tag.isprintable():
            self._listing = (tag, body)
        return tools

    def call(
        self,
        name: str,
        /,
        arguments: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        session_id: str | None = None,
        traceparent: str | None = None,
        **kwargs: Any,
    ) -> ToolResult:
        """The tool's answer, or that it is held for a person. Arguments are given as a mapping, by name, or both.

        Without an idempotency key a call whose answer is lost is not sent again. Raises ToolCallError in its kinds,
        and before anything is sent TypeError or ValueError for what can't be sent.
        """
        if arguments is not None and not isinstance(arguments, Mapping):
            raise TypeError("arguments must be a mapping of names to values; or write them as keywords, query=...")
        given = dict(arguments or {})
        if twice := given.keys() & kwargs.keys():
            raise TypeError(f"given twice: {', '.join(sorted(twice))}")
        headers = _headers({"Idempotency-Key": idempotency_key, "X-Session-Id": session_id, "traceparent": traceparent})
        request = self._request("POST", f"/tools/{_segment(name)}", {**given, **kwargs}, headers=headers)
        return self._result(request, Repeat.of(idempotency_key))

    def propose(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        prompt: str = "",
        candidate_outputs: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> ToolResult:
        """What a call would come to, and nothing has happened: status "allowed" with the token to commit with,
        "blocked" with a draft, or "pending_approval" where a person must agree first; `proposal()` has the token then.

        `prompt` is what the agent was asked; two `candidate_outputs` are what a model made of it, where the tool is
        scored by what callers send.
        """
        body: dict[str, Any] = {"tool": tool, "args": dict(arguments), "prompt": prompt}
        if candidate_outputs is not None:
            body["candidate_outputs"] = list(candidate_outputs)
        request = self._request("POST", "/proposals", body, headers=_headers({"Idempotency-Key": idempotency_key}))
        return self._result(request, Repeat.of(idempotency_key))

    def commit(
        self,
        proposal_id: str,
        commit_token: str,
        arguments: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> ToolResult:
        """The proposed call ran once, with exactly the arguments that were proposed; its output is in `result`.

        Raises CommitRefused, whose code says why nothing ran. Without an idempotency key a commit whose answer is
        lost is not sent again, and `proposal()` tells where it stands; with one, the server repeats its answer.
        """
        body = {"commit_token": commit_token, "args": dict(arguments)}
        headers = _headers({"Idempotency-Key": idempotency_key})
        request = self._request("POST", f"/proposals/{_segment(proposal_id)}/commit", body, headers=headers)
        return self._result(request, Repeat.of(idempotency_key), refused_commit)

    def proposal(self, proposal_id: str) -> dict[str, Any]:
        """Where one's own proposal stands; once a person has agreed, with its commit token."""
        return self._read(self._request("GET", f"/proposals/{_segment(proposal_id)}"))

    def confirm(self, pending_action_id: str, approve: bool = True, reason: str = "") -> ToolResult:
        """The decision is made: status "confirmed" with the tool's output, "rejected", or "pending" below the quorum.

        Never sent again: even a 503 may come after the vote was counted. `action()` tells where it stands.
        """
        body = {"approve": approve, "reason": reason}
        return self._result(self._request("POST", f"/confirm/{_segment(pending_action_id)}", body), Repeat.NEVER)

    def action(self, pending_action_id: str, wait: int = 0) -> dict[str, Any]:
        """Where one's own pending action stands; the server answers within `wait` seconds, at most 30."""
        if not 0 <= wait <= LONGEST_WAIT_S:
            raise ValueError(f"wait is 0 to {LONGEST_WAIT_S} seconds")
        query = f"?wait={int(wait)}" if wait else ""
        path = f"/actions/{_segment(pending_action_id)}{query}"
        return self._read(self._request("GET", path, timeout_s=self._timeout_s + wait))

    def wait_for(self, pending_action_id: str, timeout_s: float) -> dict[str, Any]:
        """The action once it has ended, however it ended. Raises StillWaiting with where it stands."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline - time.monotonic(), 0.0)
            asked_at = time.monotonic()
            action = self.action(pending_action_id, wait=min(int(left_s), LONGEST_WAIT_S))
            if action.get("status") not in NOT_ENDED:
                return action
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise StillWaiting(action)
            # A server that answers sooner than asked is not asked again at once.
            if time.monotonic() - asked_at < SHORTEST_POLL_S:
                self._patience.sleep(min(SHORTEST_POLL_S, left_s))

    def cancel(self, pending_action_id: str) -> dict[str, Any]:
        """One's own pending action is cancelled. Raises Conflict where it was decided already."""
        answer = self._send(self._request("DELETE", f"/actions/{_segment(pending_action_id)}"), Repeat.NEVER)
        return _object(answer, answer.body, acts=True)

    def decision(self, tool: str, args: Mapping[str, Any] | None = None, agent: str | None = None) -> dict[str, Any]:
        """What a call would be answered, and by which stage and rule. Nothing runs and nothing is counted."""
        body: dict[str, Any] = {"tool": tool, "args": dict(args or {})}
        if agent is not None:
            body["agent"] = agent
        return self._read(self._request("POST", "/decisions", body))

    def open_session(  # noqa: PLR0913 (what POST /sessions takes, by name)
        self,
        model: str,
        *,
        session_id: str | None = None,
        provider: str | None = None,
        policy: Mapping[str, Any] | None = None,
        guardrails: Mapping[str, Any] | None = None,
        upstream: str | None = None,
        reported: bool = False,
    ) -> dict[str, Any]:
        """A session of this agent's is open, with what it may do, its tools, and what its preflight said. `reported`
        says that its steps run elsewhere and are only told. `MCPHarness` is this with steps as objects.
        """
        given = {
            "model": model,
            "session_id": session_id,
            "provider": provider,
            "policy": policy,
            "guardrails": guardrails,
            "upstream": upstream,
            "reported": reported or None,
        }
        body = {name: value for name, value in given.items() if value is not None}
        return self._result(self._request("POST", "/sessions", body), Repeat.UNKEYED).body

    def take_step(
        self, session_id: str, step: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """The step of one's own session as it was decided, and done where nothing forbade it."""
        headers = _headers({"Idempotency-Key": idempotency_key})
        request = self._request("POST", f"/sessions/{_segment(session_id)}/steps", step, headers=headers)
        return self._result(request, Repeat.of(idempotency_key)).body

    def session(self, session_id: str, after: int = 0) -> dict[str, Any]:
        """One's own session as it stands, with a page of its steps: those after this number. `next_after` is the next
        page's, None on the last.
        """
        return self._read(self._request("GET", f"/sessions/{_segment(session_id)}?after={int(after)}"))

    def close_session(self, session_id: str) -> dict[str, Any]:
        """One's own session takes no more steps; one that had ended stays as it ended."""
        # Closing what is closed changes nothing, so this is sent again like a request that reads.
        request = self._request("POST", f"/sessions/{_segment(session_id)}/close", {})
        return self._read(request)

    def health(self) -> dict[str, Any]:
        """Whether the server lives, and its version. Sent without the key."""
        return self._read(self._request("GET", "/health", keyed=False))

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        keyed: bool = True,
    ) -> Request:
        sent = {"Accept": "application/json", "User-Agent": _USER_AGENT, **(headers or {})}
        # Inside a span of ours the server's stand under it.
        above = current_traceparent()
        if above is not None:
            sent.setdefault("traceparent", above)
        if keyed:
            sent["X-API-Key"] = self._api_key
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        return Request(method, path, sent, data, timeout_s or self._timeout_s)

    def _result(self, request: Request, repeat: Repeat, refusal: Refusal | None = None) -> ToolResult:
        answer = self._send(request, repeat, refusal)
        body = _object(answer, answer.body, acts=True)
        return ToolResult(body, trace_id=answer.headers.get("x-trace-id", ""), replayed=_is_replay(answer))

    def _read(self, request: Request) -> dict[str, Any]:
        answer = self._send(request, Repeat.READS)
        return _object(answer, answer.body, acts=False)

    def _send(self, request: Request, repeat: Repeat, refusal: Refusal | None = None) -> Answer:
        """The answer that is a success, after as many attempts as are safe. Raises ToolCallError, read by `refusal`."""
        in_doubt = False
        attempt = 0
        while True:
            answer, error = self._attempt(request, repeat, refusal)
            if answer is not None and error is None:
                return answer
            assert error is not None
            in_doubt = in_doubt or leaves_doubt(error)
            if not self._patience.wait(error, repeat, attempt):
                replayed = answer is not None and _is_replay(answer)
                raise last_word(error, in_doubt=in_doubt, replayed=replayed)
            attempt += 1

    def _attempt(
        self, request: Request, repeat: Repeat, refusal: Refusal | None
    ) -> tuple[Answer | None, ToolCallError | None]:
        """The answer, or the error; both where the answer is a refusal."""
        try:
            answer = self._connections.exchange(request)
        except NotSent as why:
            return None, _caused(NotReachable(0, "not_reachable", "Not reachable", f"Nothing was sent ({why})."), why)
        except Lost as why:
            kind = OutcomeUnknown if repeat.acts else NotReachable
            return None, _caused(kind(0, "connection_lost", "Connection lost", f"No answer came ({why})."), why)
        except TooLarge:
            return None, _unreadable(None, acts=repeat.acts)
        if 200 <= answer.status < 300 or (answer.status == 304 and "If-None-Match" in request.headers):
            return answer, None
        if refusal is not None:
            return answer, refusal(answer, secret=self._api_key)
        return answer, error_of(answer, acts=repeat.acts, secret=self._api_key)


def _caused(error: ToolCallError, why: Exception) -> ToolCallError:
    error.__cause__ = why.__cause__
    return error


def _is_replay(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


def _object(answer: Answer, body: bytes, *, acts: bool) -> dict[str, Any]:
    """The body as a JSON object. Raises the error of an answer that can't be read."""
    try:
        found = parsed(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _unreadable(answer, acts=acts)
    return found


def _unreadable(answer: Answer | None, *, acts: bool) -> ToolCallError:
    """A success that can't be read: the call ran or not, and the answer does not tell."""
    kind = OutcomeUnknown if acts else ToolCallError
    return kind(
        answer.status if answer else 0,
        "unreadable_answer",
        "Unreadable answer",
        "The answer is not a JSON object of at most 8 MiB.",
        trace_id=answer.headers.get("x-trace-id", "") if answer else "",
    )


def _segment(name: str) -> str:
    """A name as one segment of a path, which no proxy can take for another path."""
    if name in ("", ".", ".."):
        raise ValueError("a name is not empty, . or ..")
    return quote(name, safe="")


def _headers(named: Mapping[str, str | None]) -> dict[str, str]:
    """The headers that were given."""
    given = {name: value for name, value in named.items() if value is not None}
    for name, value in given.items():
        if not _VISIBLE_ASCII.fullmatch(value):
            raise ValueError(f"{name} is 1 to 255 visible ASCII characters")
    return given
