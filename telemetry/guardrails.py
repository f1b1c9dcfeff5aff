"""What detectors say of a text, what that means under a mode and thresholds, and what need not be asked again.

Nothing here holds a text any longer than it is read: signals are scores, counts and names.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from telemetry.derivation import derive_key
from telemetry.detectors.detector import MOST_CHARACTERS, Category, Detection, Detector, DetectorUnavailable
from telemetry.fingerprints import fingerprint

log = logging.getLogger(__name__)
OFF, ADVISORY, MIXED, HARD_GATE = "off", "advisory", "mixed", "hard_gate"
# From lax to strict.
MODES = (OFF, ADVISORY, MIXED, HARD_GATE)
HARD_IN_MIXED = frozenset({Category.PII, Category.SECRETS, Category.INJECTION})
# Every signal's fingerprint names it: what a preflight said is said again in a step (seed of the harness).
SUITE = "mcp"
REUSED = "Reused from Preflight"
LOOKS_LIKE_NETWORK = "a guess by its name or an address in its arguments; it decides nothing"
PREFLIGHT, INPUT, OUTPUT = "preflight", "input", "output"
# What stands across the end of one window is read whole in the next.
_OVERLAP = 1_024
_MOST_KINDS = 20


@dataclass(frozen=True, slots=True)
class Guardrails:
    """How strict: a mode, and for each category the score above which a signal is a violation."""

    mode: str
    thresholds: Mapping[str, float]
    # Categories that a session asked for by a threshold of its own: that nobody can look for one is then a signal.
    asked_for: frozenset[str] = frozenset()

    @property
    def is_on(self) -> bool:
        return self.mode != OFF

    def denies(self, category: str) -> bool:
        """Whether a violation of this category stops a call."""
        return self.mode == HARD_GATE or (self.mode == MIXED and category in HARD_IN_MIXED)

    def narrowed(self, given: object) -> Guardrails:
        """As strict as these, and as what a session asks for. Raises ValueError with a sentence."""
        if given is None:
            return self
        if not isinstance(given, Mapping) or set(given) - {"mode", "thresholds"}:
            raise ValueError("guardrails have mode and thresholds, and no other members.")
        mode, thresholds = given.get("mode") or ADVISORY, given.get("thresholds") or {}
        if mode not in MODES[1:]:
            raise ValueError(f"guardrails.mode is one of {', '.join(MODES[1:])}.")
        if not isinstance(thresholds, Mapping) or set(thresholds) - set(self.thresholds):
            raise ValueError(f"guardrails.thresholds has the members {', '.join(self.thresholds)}.")
        if not all(_is_score(value) for value in thresholds.values()):
            raise ValueError("A threshold is a number from 0 to 1.")
        return Guardrails(
            max(self.mode, mode, key=MODES.index),
            MappingProxyType(
                {name: min(value, thresholds.get(name, value)) for name, value in self.thresholds.items()}
            ),
            frozenset(thresholds),
        )

    def at_least(self, kept: Guardrails) -> Guardrails:
        """As strict as these, and as those."""
        return replace(
            self.narrowed({"mode": kept.mode, "thresholds": kept.thresholds}) if kept.is_on else self,
            asked_for=kept.asked_for,
        )

    def as_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "thresholds": dict(self.thresholds), "asked_for": sorted(self.asked_for)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Guardrails:
        return cls(kept["mode"], kept["thresholds"], frozenset(kept.get("asked_for", ())))


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True, slots=True)
class Signal:
    """What one detector said of one content. `score` is None where it could not say; doubt is a violation."""

    provider: str
    metric: str
    stage: str
    score: float | None
    threshold: float
    denies: bool
    fingerprint: str
    kinds: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    reused: bool = False
    # Of which content, keyed; never shown.
    content: str = field(default="", repr=False)

    @property
    def violated(self) -> bool:
        return self.score is None or self.score > self.threshold

    @property
    def stops(self) -> bool:
        return self.violated and self.denies

    def as_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "metric": self.metric,
            "stage": self.stage,
            "score": self.score,
            "threshold": self.threshold,
            "violated": self.violated,
            "denies": self.stops,
            "kinds": dict(self.kinds),
            "fingerprint": self.fingerprint,
            "reused": self.reused,
            "reason": self.reason,
        }


Known = Mapping[tuple[str, str], Mapping[str, Any]]
NOTHING_KNOWN: Known = {}


@dataclass(frozen=True, slots=True)
class Screen:
    """The detectors of one configuration, ready to read. `model` and `rules_hash` are a session's, else empty."""

    guardrails: Guardrails
    detectors: Sequence[Detector]
    model: str = ""
    rules_hash: str = ""
    # Then what nobody can look for is no doubt: it was not to be looked for in these.
    is_for_descriptions: bool = False

    def read(self, text: str, stage: str, known: Known = NOTHING_KNOWN) -> list[Signal]:
        """A signal of each detector. One that is known of the same content is reused, and nothing is asked."""
        if not self.guardrails.is_on or not text:
            return []
        content = digest_of(text)
        signals = [self._ask(detector, text, content, stage, known) for detector in self.detectors]
        return signals if self.is_for_descriptions else signals + list(self._unavailable(stage, content))

    def _ask(self, detector: Detector, text: str, content: str, stage: str, known: Known) -> Signal:
        category = str(detector.category)
        name = fingerprint(detector.name, category, SUITE, self.model, self.rules_hash)
        told = known.get((content, name))
        found, reason = (None, "") if told is not None else _detected(detector, text, stage)
        if told is not None:
            score, kinds, reason = told["score"], told["kinds"], REUSED
        else:
            score, kinds = (found.score, found.kinds) if found is not None else (None, {})
        return Signal(
            provider=detector.name,
            metric=category,
            stage=stage,
            score=score,
            threshold=self.guardrails.thresholds[category],
            denies=self.guardrails.denies(category),
            fingerprint=name,
            kinds=kinds,
            reason=reason,
            reused=told is not None,
            content=content,
        )

    def _unavailable(self, stage: str, content: str) -> Iterator[Signal]:
        """What a session asked to be looked for, and nobody here can: said, and a denial where it is a gate."""
        for category in sorted(self.guardrails.asked_for - {str(detector.category) for detector in self.detectors}):
            yield Signal(
                provider="none",
                metric=category,
                stage=stage,
                score=None,
                threshold=self.guardrails.thresholds[category],
                denies=self.guardrails.denies(category),
                fingerprint=fingerprint("none", category, SUITE, self.model, self.rules_hash),
                reason="unavailable: no detector of this kind is installed",
                content=content,
            )


def network_guess(model: str, rules_hash: str) -> Signal:
    """That a call looks like one over the network, by its name or arguments: shown, and never a violation."""
    return Signal(
        provider="heuristic",
        metric="network",
        stage=INPUT,
        score=1.0,
        threshold=1.0,
        denies=False,
        fingerprint=fingerprint("heuristic", "network", SUITE, model, rules_hash),
        reason=LOOKS_LIKE_NETWORK,
    )


def _detected(detector: Detector, text: str, stage: str) -> tuple[Detection | None, str]:
    """What it found in the whole text, window by window; None and why, where it could not say."""
    try:
        return _joined([detector.detect(window, stage=stage) for window in _windows(text)]), ""
    except DetectorUnavailable as why:
        return None, f"unavailable: {why}"
    except Exception:
        log.exception("the detector %s failed", detector.name)
        return None, "unavailable: it failed"


def _windows(text: str) -> Iterator[str]:
    step = MOST_CHARACTERS - _OVERLAP
    for start in range(0, max(len(text) - _OVERLAP, 1), step):
        yield text[start : start + MOST_CHARACTERS]


def _joined(found: Sequence[Detection]) -> Detection:
    best = max(found, key=lambda detection: detection.score)
    if len(found) == 1:
        return best
    return Detection(best.score, tuple(finding for detection in found for finding in detection.findings)[:50])


def digest_of(text: str) -> str:
    """A keyed digest of a content: the same here for the same text, and no help in guessing a short one."""
    key = derive_key("digest/guardrail-content").key
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def text_of(value: Any) -> str:
    """Every text and number in a JSON value, keys too, a line each: what detectors read of arguments and outputs."""
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str | int | float) and not isinstance(item, bool):
                yield f"{name}: {item}"
            else:
                yield str(name)
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def sentence(signals: Iterable[Signal]) -> str:
    """Why a call is stopped, without a word of the text: which detectors, which kinds, what score over which bound."""
    return "; ".join(_said(signal) for signal in signals if signal.stops)


def _said(signal: Signal) -> str:
    if signal.score is None:
        return f"{signal.provider} could not look for {signal.metric} ({signal.reason})"
    kinds = ", ".join(f"{kind} x{count}" for kind, count in list(signal.kinds.items())[:_MOST_KINDS])
    return f"{signal.provider} found {kinds or signal.metric} (score {signal.score:g}, allowed {signal.threshold:g})"
