"""A detector of the operator's own, asked over HTTP. It reads whole texts: who runs it is trusted with them."""

from __future__ import annotations

import json
import re
from typing import Any

from telemetry.detectors.detector import (
    MOST_CHARACTERS,
    MOST_FINDINGS,
    Category,
    Detection,
    Detector,
    DetectorUnavailable,
    Finding,
)
from telemetry.egress import EgressError, request

_MOST_BYTES = 65_536
_KIND = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


class RemoteDetector(Detector):
    """Asks POST {"text", "stage", "category"} and believes {"score": 0 to 1, "kinds": {name: count}}, kinds optional.

    A finding stands for the whole text. Everything else that comes back, or doesn't, is DetectorUnavailable, whose
    message is one of egress's kinds, `status_<number>` or `bad_answer`: never of the text, the URL or the answer.
    """

    # Its answers are not ours to version.
    version = "remote"
    is_remote = True

    def __init__(
        self,
        name: str,
        category: Category,
        url: str,
        *,
        header: str = "",
        secret: str = "",
        timeout_s: float = 2.0,
    ) -> None:
        self.name = name
        self.category = category
        self._url = url
        self._header = header or "Authorization"
        self._secret = secret
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"RemoteDetector({self.name!r})"

    def detect(self, text: str, *, stage: str = "") -> Detection:
        asked = {"text": text[:MOST_CHARACTERS], "stage": stage, "category": self.category.value}
        # A lone surrogate, which no JSON can carry, goes as its escape.
        body = json.dumps(asked).encode("ascii")
        try:
            answer = request(
                "POST",
                self._url,
                headers=self._headers(),
                body=body,
                timeout_s=self._timeout_s,
                max_bytes=_MOST_BYTES,
            )
        except EgressError as error:
            raise DetectorUnavailable(error.kind.value) from None
        if answer.status != 200:
            raise DetectorUnavailable(f"status_{answer.status}")
        return _understood(answer.body, text)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._secret:
            is_bearer = self._header.lower() == "authorization" and " " not in self._secret
            headers[self._header] = f"Bearer {self._secret}" if is_bearer else self._secret
        return headers


def _understood(body: bytes, text: str) -> Detection:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise DetectorUnavailable("bad_answer") from None
    score = _score(answer)
    is_truncated = len(text) > MOST_CHARACTERS
    if not score:
        return Detection(truncated=is_truncated)
    end = min(len(text), MOST_CHARACTERS)
    findings = [Finding(kind, 0, end, score) for kind, count in _kinds(answer) for _ in range(count)]
    return Detection(score, tuple(findings[:MOST_FINDINGS]) or (Finding("found", 0, end, score),), is_truncated)


def _score(answer: Any) -> float:
    """A number from 0 to 1 and nothing else: neither true nor a text that looks like one."""
    score = answer.get("score") if isinstance(answer, dict) else None
    # No NaN is between any two numbers, and no number is too long to be compared.
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise DetectorUnavailable("bad_answer")
    return float(score)


def _kinds(answer: dict[str, Any]) -> list[tuple[str, int]]:
    """Names that are words, in order. What looks otherwise could be of the text, and is not repeated."""
    kinds = answer.get("kinds", {})
    if not isinstance(kinds, dict):
        raise DetectorUnavailable("bad_answer")
    found = []
    for kind, count in sorted(kinds.items()):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0 or _KIND.fullmatch(kind) is None:
            raise DetectorUnavailable("bad_answer")
        found.append((kind, min(count, MOST_FINDINGS)))
    return found
