"""A detector over HTTP: what it is asked, what it may answer, and that every other answer is doubt."""

import json
from typing import Any

import pytest

from telemetry.detectors.detector import MOST_CHARACTERS, Category, DetectorUnavailable, Finding
from telemetry.detectors.remote import RemoteDetector
from tests.answering import Answering, answering

CANARY = "Zq7Canary9"


def _remote(told: Answering, **more: Any) -> RemoteDetector:
    return RemoteDetector("brand-words", Category.CUSTOM, f"{told.url}/detect?key={CANARY}", **more)


@pytest.mark.usefixtures("opened")
def test_detect_asks_with_the_text_its_stage_and_its_category() -> None:
    with answering() as told:
        told.answer = (200, {}, b'{"score": 0.75, "kinds": {"b": 2, "a": 1}}')
        detection = _remote(told, secret=CANARY).detect("hållo \ud800", stage="input")
    assert detection.score == 0.75
    assert list(detection.kinds.items()) == [("a", 1), ("b", 2)]
    assert detection.findings[0] == Finding("a", 0, 7, 0.75)
    (asked,) = told.asked
    assert (asked.method, asked.path) == ("POST", f"/detect?key={CANARY}")
    assert json.loads(asked.body) == {"text": "hållo \ud800", "stage": "input", "category": "custom"}
    assert asked.headers["Authorization"] == f"Bearer {CANARY}"
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ({"header": "X-Api-Key", "secret": "s3"}, "X-Api-Key", "s3"),
        ({"header": "authorization", "secret": "Basic s3"}, "authorization", "Basic s3"),
        ({}, "Authorization", None),
    ],
)
def test_detect_sends_the_credential_as_it_was_given(more: dict[str, str], name: str, value: str | None) -> None:
    with answering() as told:
        told.answer = (200, {}, b'{"score": 0}')
        assert _remote(told, **more).detect("x").score == 0
    assert told.asked[0].headers.get(name) == value


@pytest.mark.usefixtures("opened")
def test_detect_reads_no_more_than_any_detector_does() -> None:
    with answering() as told:
        told.answer = (200, {}, b'{"score": 1, "kinds": {"a": 99999}}')
        detection = _remote(told).detect("x" * MOST_CHARACTERS + "yz")
    assert detection.truncated
    assert detection.kinds == {"a": 50}
    assert json.loads(told.asked[0].body)["text"] == "x" * MOST_CHARACTERS


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("body", "kinds"), [(b'{"score": 0.5}', {"found": 1}), (b'{"score": 0.5, "kinds": {}, "more": 1}', {"found": 1})]
)
def test_kinds_may_be_left_out(body: bytes, kinds: dict[str, int]) -> None:
    with answering() as told:
        told.answer = (200, {}, body)
        assert _remote(told).detect("x").kinds == kinds


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((200, {}, b""), "bad_answer"),
        ((200, {}, b"Zq7Canary9"), "bad_answer"),
        ((200, {}, b"[" * 50_000), "bad_answer"),
        ((200, {}, b"[0.5]"), "bad_answer"),
        ((200, {}, b"{}"), "bad_answer"),
        ((200, {}, b'{"score": true}'), "bad_answer"),
        ((200, {}, b'{"score": "0.5"}'), "bad_answer"),
        ((200, {}, b'{"score": null}'), "bad_answer"),
        ((200, {}, b'{"score": 1.01}'), "bad_answer"),
        ((200, {}, b'{"score": -0.1}'), "bad_answer"),
        ((200, {}, b'{"score": NaN}'), "bad_answer"),
        ((200, {}, b'{"score": Infinity}'), "bad_answer"),
        ((200, {}, b'{"score": 1' + b"0" * 400 + b"}"), "bad_answer"),
        ((200, {}, b'{"score": 0.5, "kinds": ["a"]}'), "bad_answer"),
        ((200, {}, b'{"score": 0.5, "kinds": {"a": -1}}'), "bad_answer"),
        ((200, {}, b'{"score": 0.5, "kinds": {"a": true}}'), "bad_answer"),
        ((200, {}, b'{"score": 0.5, "kinds": {"Zq7Canary9 said in full": 1}}'), "bad_answer"),
        ((204, {}, b""), "status_204"),
        ((401, {}, b"Zq7Canary9"), "status_401"),
        ((500, {}, b'{"score": 0}'), "status_500"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "redirect_refused"),
        ((200, {}, b'{"score": 0, "x": "' + b"x" * 70_000 + b'"}'), "too_large"),
    ],
)
def test_every_other_answer_is_doubt_and_repeats_nothing(answer: Any, reason: str) -> None:
    with answering() as told:
        told.answer = answer
        with pytest.raises(DetectorUnavailable) as raised:
            _remote(told, secret=CANARY).detect(f"text {CANARY}")
    assert str(raised.value) == reason
    assert raised.value.__cause__ is None


@pytest.mark.usefixtures("opened")
def test_no_answer_in_time_is_doubt() -> None:
    with answering() as told:
        told.go_on.clear()
        with pytest.raises(DetectorUnavailable, match=r"^timeout$"):
            _remote(told, timeout_s=0.05).detect("x")


@pytest.mark.usefixtures("closed")
def test_an_address_inside_is_refused_unless_it_is_opened() -> None:
    with answering() as told, pytest.raises(DetectorUnavailable, match=r"^refused_address$"):
        _remote(told).detect("x")
    assert told.asked == []


@pytest.mark.parametrize("secret", ["line\nbreak", "naïve\u2028"])
def test_a_credential_that_no_header_can_carry_is_doubt(secret: str) -> None:
    with pytest.raises(DetectorUnavailable, match=r"^bad_url$"):
        RemoteDetector("x", Category.PII, "https://example.com", header="X-Key", secret=secret).detect("x")


def test_its_repr_keeps_its_address_and_credential_to_itself() -> None:
    remote = RemoteDetector("brand-words", Category.CUSTOM, f"https://x/{CANARY}", secret=CANARY)
    assert repr(remote) == "RemoteDetector('brand-words')"
    assert remote.missing() == ()
    assert remote.is_remote
