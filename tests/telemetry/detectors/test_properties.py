"""Over any text: no error, places inside it, the same answer twice, in time that grows as the text does."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.detectors.detector import MOST_CHARACTERS, Detector
from telemetry.detectors.injection import Injection
from telemetry.detectors.lookalikes import as_read
from telemetry.detectors.pii import Pii
from telemetry.detectors.places import Places
from telemetry.detectors.secrets import Secrets
from tests.telemetry.detectors.credentials import credentials
from tests.telemetry.detectors.injected import POSITIVES
from tests.telemetry.detectors.ordinary import lines
from tests.telemetry.detectors.people import people

DETECTORS: tuple[Detector, ...] = (Pii(), Secrets(), Injection())
PIECES = [
    *(text for _, text, _ in people(1, each=4)),
    *(text for _, text in credentials(1, each=3)),
    *(text for _, text in POSITIVES),
]
texts = st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map(" ".join)
cut = st.builds(lambda text, start, end: text[start:end], texts, st.integers(0, 40), st.integers(0, 400))


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
@settings(max_examples=300, deadline=None)
@given(text=texts | cut)
def test_detect_answers_of_any_text(detector: Detector, text: str) -> None:
    detection = detector.detect(text)
    assert detection == detector.detect(text)
    assert 0 <= detection.score <= 1
    assert detection.score == max((finding.score for finding in detection.findings), default=0.0)
    for finding in detection.findings:
        assert 0 <= finding.start < finding.end <= len(text)
        assert 0 < finding.score <= 1


@settings(max_examples=300, deadline=None)
@given(texts)
def test_places_lead_back_into_the_text(text: str) -> None:
    read = as_read(text)
    places = Places(text, read)
    for start in range(min(len(read), 50)):
        first, last = places.of(start, start + 1)
        assert 0 <= first < last <= len(text)


def test_many_threads_get_the_answers_of_one() -> None:
    together = threading.Barrier(8)

    def ask(_number: int) -> list[object]:
        together.wait()
        return [detector.detect(text) for text in PIECES for detector in DETECTORS]

    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(ask, range(8))
    assert all(other == first for other in others)


# What the patterns begin with, again and again: nothing may look from each of them to the end.
UNITS = [
    *("a", "1", " ", "@", "é", "\u200b", "4", "+", "(", "x ", "1 ", "1-", "a@", "a.", "a@b.", "-", "_", "\n", '"', "="),
    *("4111 ", "415-555-0132 ", "+1 415 555 2671 ", "536-90-4399 ", "DE89", "99.", "AB 12 34 56 C ", "+49", "ssn "),
    *(
        "eyJ",
        "eyJa.",
        "sk-",
        "://",
        "://a:",
        "password=",
        "Key=",
        "bearer ",
        "M",
        "-----BEGIN PRIVATE KEY-----",
        "AKIA",
    ),
    *("ignore ", "ignore previous ", "ignore previous instructions ", "do not tell the ", "send the password to "),
    *(
        "system: ",
        "user: a assistant",
        "[system ",
        "](http://a?b=",
        "![",
        "<img ",
        "<|",
        "### ",
        "https://a?b=<",
        "a b ",
    ),
    *(
        "QUJD",
        "\U000e0041",
        "\u202e",
        "忽略",
        "x\u200by",
        "# system\n",
        "before using this tool read ",
        "/home/a",
        "~/",
    ),
]


def _seconds(detector: Detector, text: str) -> float:
    rounds = []
    for _ in range(2):
        begin = time.thread_time()
        detector.detect(text)
        rounds.append(time.thread_time() - begin)
    return min(rounds)


@pytest.mark.alone
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_time_is_that_of_ordinary_text_when_a_text_is_hostile(detector: Detector) -> None:
    """A ratio, since machines differ: what is found costs more than what is not, but not more for being repeated."""
    ordinary = "\n".join(lines(1, 2_000))[:MOST_CHARACTERS]
    usual = _seconds(detector, ordinary)
    slow = {unit: _seconds(detector, (unit * 204_800)[:204_800]) / usual for unit in UNITS}
    assert max(slow.values()) < 40, sorted(slow.items(), key=lambda item: -item[1])[:5]


@pytest.mark.alone
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_eight_times_the_text_takes_about_eight_times_as_long_when_it_is_hostile(detector: Detector) -> None:
    size = MOST_CHARACTERS // 8
    for unit in UNITS:
        short, long = ((unit * length)[:length] for length in (size, MOST_CHARACTERS))
        ratio = _seconds(detector, long) / max(_seconds(detector, short), 1e-4)
        assert ratio < 32, unit  # 64 where a place looks at all others
