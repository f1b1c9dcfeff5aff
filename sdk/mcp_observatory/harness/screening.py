"""What is found in a session's texts by this process, what that means, and what need not be looked for again."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mcp_observatory.guards.fingerprints import fingerprint
from mcp_observatory.guards.secret_forms import CREDENTIALS, FORMS, Form
from mcp_observatory.harness.configuration import GuardrailsConfig
from mcp_observatory.harness.records import SignalResult

PREFLIGHT, INPUT, OUTPUT = "preflight", "input", "output"
# Part of every fingerprint, so that what a preflight said is found by a step.
SUITE = "mcp"
REUSED = "Reused from Preflight"
UNAVAILABLE = "unavailable"
TOO_LONG = "unavailable: the text is too long"
LOOKS_LIKE_NETWORK = "a guess by its name or an address in its arguments; it decides nothing"
# Longer texts are not read: it would hold up everything else in the process.
LONGEST_READ = 1_048_576

# Categories that a table of forms can tell. For the others a server or a model is needed.
_FORMS: dict[str, tuple[Form, ...]] = {
    "pii": tuple(form for form in FORMS if form.name in ("email", "iban", "card")),
    "secrets": CREDENTIALS,
}
_OF_DESCRIPTIONS = {"secrets": CREDENTIALS}


class Screen:
    """One session's looking. What was read before the first step is not read again: its signals are reused."""

    def __init__(self, guardrails: GuardrailsConfig, model: str, rules_hash: str) -> None:
        self._guardrails = guardrails
        self._fingerprint: Callable[[str, str], str] = lambda provider, category: fingerprint(
            provider, category, SUITE, model, rules_hash
        )
        self._known: dict[tuple[str, str], SignalResult] = {}

    def preflight(self, descriptions: Iterable[str], texts: Iterable[str]) -> list[SignalResult]:
        """What is in the tools' descriptions and in the texts that the run begins with, and what can't be told here."""
        found = [signal for text in descriptions for signal in self.description(text)]
        found += [signal for text in texts for signal in self._read(text, PREFLIGHT, _FORMS)]
        return found + [self._unavailable(category, PREFLIGHT) for category in self._asked_in_vain()]

    def description(self, text: str) -> list[SignalResult]:
        """What is in what a tool says of itself. It may name a support address; it may not hold a secret."""
        return self._read(text, PREFLIGHT, _OF_DESCRIPTIONS)

    def step(self, texts: Iterable[str], stage: str) -> list[SignalResult]:
        """What is in a step's input or output. What reads no text was said at the preflight, and is said again."""
        found = [signal for text in texts for signal in self._read(text, stage, _FORMS)]
        return found + [self._unavailable(category, stage) for category in self._asked_in_vain()]

    def network_guess(self) -> SignalResult:
        """That a call looks like one over the network: shown, and never a violation."""
        return SignalResult(
            provider="heuristic",
            metric="network",
            stage=INPUT,
            score=1.0,
            threshold=None,
            violated=False,
            fingerprint=self._fingerprint("heuristic", "network"),
            reason=LOOKS_LIKE_NETWORK,
        )

    def _read(self, text: str, stage: str, categories: Mapping[str, tuple[Form, ...]]) -> list[SignalResult]:
        if not text:
            return []
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return [self._signal(category, forms, text, digest, stage) for category, forms in categories.items()]

    def _signal(self, category: str, forms: tuple[Form, ...], text: str, digest: str, stage: str) -> SignalResult:
        name = self._fingerprint("forms", category)
        known = self._known.get((name, digest))
        if known is not None:
            return replace(known, stage=stage, reused=True, reason=REUSED)
        kinds = None if len(text) > LONGEST_READ else _kinds(forms, text)
        score = None if kinds is None else float(bool(kinds))
        threshold = self._guardrails.threshold(category)
        violated = score is None or score > threshold
        signal = SignalResult(
            provider="forms",
            metric=category,
            stage=stage,
            score=score,
            threshold=threshold,
            violated=violated,
            denies=violated and self._guardrails.denies(category),
            kinds=kinds or {},
            fingerprint=name,
            reason=TOO_LONG if score is None else "",
        )
        if stage == PREFLIGHT:
            self._known[name, digest] = signal
        return signal

    def _asked_in_vain(self) -> list[str]:
        return sorted(self._guardrails.thresholds.keys() - _FORMS.keys())

    def _unavailable(self, category: str, stage: str) -> SignalResult:
        is_reused = stage != PREFLIGHT
        return SignalResult(
            provider="none",
            metric=category,
            stage=stage,
            score=None,
            threshold=self._guardrails.threshold(category),
            violated=True,
            denies=self._guardrails.denies(category),
            fingerprint=self._fingerprint("none", category),
            reused=is_reused,
            reason=f"{UNAVAILABLE} ({REUSED})" if is_reused else UNAVAILABLE,
        )


def sentence(signals: Iterable[SignalResult]) -> str:
    """Why a step is stopped: kinds and figures, and no word of the text. Empty where it is not."""
    return "; ".join(_said(signal) for signal in signals if signal.denies)


def _said(signal: SignalResult) -> str:
    if signal.score is None:
        return f"{signal.metric} could not be looked for ({signal.reason})"
    kinds = ", ".join(f"{kind} x{count}" for kind, count in signal.kinds.items())
    return f"{signal.metric} found: {kinds} (score {signal.score:g}, allowed {signal.threshold:g})"


def _kinds(forms: Iterable[Form], text: str) -> dict[str, int]:
    found = Counter(form.name for form in forms for _ in form.spans(text))
    return dict(sorted(found.items()))
