"""How far a proposal can be trusted: signals from two outputs and a prompt, and the score that they make. Pure.

Every signal is within 0..1, where 0 is what one hopes for, rounded to 6 decimals; None is a signal that is absent.
Source: shared design, "Trust", section 4.
"""

from __future__ import annotations

import hashlib
import math
import re
import string
import unicodedata
from dataclasses import dataclass

DECIMALS = 6
_SMALLEST = 1e-9
# Numbers as English writes them: 1,000.50, -3, .5, 2e6. A hyphen inside a word or a date is no sign.
# Nothing in it is tried twice, so a text costs one pass.
_NUMBER = re.compile(
    r"(?:(?<!\w)[-+\u2212])?"
    r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d++(?:\.\d++)?(?:[eE][-+]?\d++)?|(?<![\w.])\.\d++)"
)
_PUNCTUATION = string.punctuation + "…–—“”‘’«»„¿¡。、"


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each signal counts. Only their proportion matters."""

    output_instability: float = 0.5
    numeric_variance: float = 0.3
    prompt_drift: float = 0.2


@dataclass(frozen=True, slots=True)
class Signals:
    output_instability: float | None = None
    numeric_variance: float | None = None
    prompt_drift: float | None = None


def signals_of(outputs: tuple[str, str] | None, prompt_digest: str, baseline_digest: str | None) -> Signals:
    """What the outputs and the prompt tell; without outputs, the drift alone."""
    drift = prompt_drift(prompt_digest, baseline_digest)
    if outputs is None:
        return Signals(prompt_drift=drift)
    return Signals(output_instability(*outputs), numeric_variance(*outputs), drift)


def output_instability(a: str, b: str) -> float | None:
    """1 - Jaccard similarity of the two sets of words. None where neither has a word: silence agrees on nothing."""
    ours, theirs = _words(a), _words(b)
    if not ours and not theirs:
        return None
    return _within(1 - len(ours & theirs) / len(ours | theirs))


def numeric_variance(a: str, b: str) -> float | None:
    """Mean of |a-b| / max(|a|, 1e-9) over the numbers at the same place in both, relative to the first, cut at 1.

    The mean is cut, not each part of it, so that one amount that is far off is not diluted by many that agree.
    Numbers that have no partner do not count; where only one text has numbers it is 1, where none has, None.
    """
    ours, theirs = _NUMBER.findall(a), _NUMBER.findall(b)
    if not ours and not theirs:
        return None
    if not ours or not theirs:
        return 1.0
    deviations = [_deviation(x, y) for x, y in zip(ours, theirs, strict=False)]
    return _within(sum(deviations) / len(deviations))


def prompt_hash(prompt: str) -> str:
    """Hex SHA-256 of the prompt in NFC, case folded, with white space collapsed; "" where nothing is left of it."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", prompt).casefold())
    normal = " ".join(folded.split())
    # A lone surrogate has no UTF-8; what was read at a door holds none.
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest() if normal else ""


def prompt_drift(prompt_digest: str, baseline_digest: str | None) -> float | None:
    """0 for the approved prompt, 1 for another and for none at all. None where no prompt is approved."""
    if baseline_digest is None:
        return None
    return 0.0 if prompt_digest == baseline_digest else 1.0


def composite_score(signals: Signals, weights: Weights) -> float | None:
    """Weighted mean of the signals that are present. None where there is none, or where those present weigh nothing."""
    pairs = [
        (signals.output_instability, weights.output_instability),
        (signals.numeric_variance, weights.numeric_variance),
        (signals.prompt_drift, weights.prompt_drift),
    ]
    present = [(signal, weight) for signal, weight in pairs if signal is not None]
    total = sum(weight for _, weight in present)
    if not 0 < total < math.inf:
        return None
    return _within(sum(signal * (weight / total) for signal, weight in present))


def is_blocked(score: float | None, block_at: float) -> bool:
    """True from the threshold up, and where there is no score: doubt blocks."""
    return score is None or not score < block_at


def _words(text: str) -> frozenset[str]:
    """What white space separates, case folded, without the punctuation around it; a lone sign stays as it is."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return frozenset(token.strip(_PUNCTUATION) or token for token in folded.split())


def _deviation(a: str, b: str) -> float:
    """Of two numbers as they were written. Of numbers beyond a double only the same digits are the same."""
    if a == b:
        return 0.0
    x, y = _value(a), _value(b)
    if math.isinf(x) or math.isinf(y):
        return math.inf
    return abs(x - y) / max(abs(x), _SMALLEST)


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))


def _within(value: float) -> float:
    return round(min(1.0, max(0.0, value)), DECIMALS)
