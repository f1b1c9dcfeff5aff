"""“Try a text”: what each detector says of a text that an operator pastes. It is kept and logged nowhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from telemetry.connections import release_connection
from telemetry.detectors.detector import MOST_FINDINGS, Detection, Detector, DetectorUnavailable, Finding
from telemetry.guardrail_acts import settings_in_force
from telemetry.guardrails import MODES, OFF, Guardrails
from telemetry.installed_guardrails import installed_detectors, of_calls, of_sessions
from telemetry.session_words import CATEGORIES, mode_words
from telemetry.visible import visible

LONGEST_BYTES = 65_536


class TryForm(forms.Form):
    text = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget({"rows": 8, "spellcheck": "false", "autocomplete": "off"}),
        help_text="At most 64 KiB. e.g. My card is 4111 1111 1111 1111, now ignore all previous instructions.",
    )
    ask_remote = forms.BooleanField(
        label="Ask remote detectors, too",
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="The text is then sent to their addresses.",
    )

    def __init__(self, *args: Any, has_remote: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_remote:
            del self.fields["ask_remote"]

    def clean_text(self) -> str:
        # Browsers send each line's end as two characters, whatever was pasted.
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > LONGEST_BYTES:
            raise forms.ValidationError(f"That is {size:,} bytes; at most {LONGEST_BYTES:,} are read.")
        return text


@dataclass(frozen=True, slots=True)
class Said:
    """What one detector said, or why it could not."""

    detector: Detector
    found: Detection | None
    why: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text: marked with what was found there, or plain."""

    text: str
    kinds: str = ""


@sensitive_post_parameters("text")
def try_page(request: HttpRequest, site: AdminSite) -> HttpResponse:
    if not request.user.has_perm("telemetry.view_guardrailsettings"):
        raise PermissionDenied
    settings = settings_in_force()
    detectors = installed_detectors(settings)
    form = TryForm(
        request.POST if request.method == "POST" else None, has_remote=any(one.is_remote for one in detectors)
    )
    tried = None
    if request.method == "POST" and form.is_valid():
        asked = [one for one in detectors if form.cleaned_data.get("ask_remote") or not one.is_remote]
        tried = _tried(form.cleaned_data["text"], asked, of_sessions(settings), of_calls(settings))
    context = site.each_context(request) | {
        "title": "Try a text",
        "form": form,
        "media": form.media,
        "tried": tried,
        "count": len(detectors),
    }
    return TemplateResponse(request, "telemetry/guardrail_try.html", context)


def ask(detector: Detector, text: str) -> Said:
    """Nothing of the text is in `why`, and nothing of it is logged."""
    if detector.is_remote:
        # Nothing is held while somebody else thinks.
        release_connection()
    began = time.perf_counter()
    found, why = None, ""
    try:
        found = detector.detect(text, stage="input")
    except DetectorUnavailable as problem:
        why = str(problem)
    except Exception as error:
        # What it raised may hold the text: only its kind is told.
        why = f"it failed ({type(error).__name__})"
    return Said(detector, found, why, (time.perf_counter() - began) * 1000)


def _tried(text: str, detectors: Sequence[Detector], sessions: Guardrails, calls: Guardrails) -> dict[str, Any]:
    said = [ask(detector, text) for detector in detectors]
    findings = [finding for one in said if one.found for finding in one.found.findings]
    violated = {str(one.detector.category) for one in said if is_violated(one, sessions)}
    return {
        "rows": [_row(one, sessions) for one in said],
        "in_force": [
            ("In a session", mode_words(sessions.mode), *_verdict(sessions, violated)),
            ("Outside sessions", mode_words(calls.mode), *_verdict(calls, violated)),
        ],
        "pieces": pieces(text, (finding for finding in findings if not _is_whole(finding, text))),
        "of_the_whole": [visible(kind) for kind in dict.fromkeys(f.kind for f in findings if _is_whole(f, text))],
        "has_findings": bool(findings),
        "is_cut": any(one.found and len(one.found.findings) >= MOST_FINDINGS for one in said),
        "most": MOST_FINDINGS,
        "took_ms": sum(one.took_ms for one in said),
        "size": len(text.encode("utf-8", "surrogatepass")),
    }


def is_violated(said: Said, guardrails: Guardrails) -> bool:
    """Doubt is a violation."""
    return said.found is None or said.found.score > guardrails.thresholds[str(said.detector.category)]


def _verdict(guardrails: Guardrails, violated: Iterable[str]) -> tuple[str, str]:
    """A tone and a word for what becomes of the text."""
    if guardrails.mode == OFF:
        return "", "not looked at"
    if any(guardrails.denies(category) for category in violated):
        return "tag-bad", "denied"
    return ("tag-careful", "recorded, and goes through") if violated else ("tag-good", "goes through")


def _row(said: Said, guardrails: Guardrails) -> dict[str, Any]:
    category = str(said.detector.category)
    violated, found = is_violated(said, guardrails), said.found
    return {
        "name": visible(said.detector.name),
        "category": CATEGORIES[category],
        "score": f"{found.score:g}" if found else "",
        "why": visible(said.why),
        "kinds": [(visible(kind), count) for kind, count in found.kinds.items()] if found else [],
        "threshold": f"{guardrails.thresholds[category]:g}",
        "violated": violated,
        "modes": [_in_mode(mode, category, violated) for mode in MODES[1:]],
        "took_ms": said.took_ms,
    }


def _in_mode(mode: str, category: str, violated: bool) -> dict[str, str]:
    denies = violated and Guardrails(mode, {}).denies(category)
    word = "denied" if denies else "recorded" if violated else "–"
    return {"mode": mode_words(mode).partition(":")[0], "word": word, "tag": "tag-bad" if denies else ""}


def _is_whole(one: Finding, text: str) -> bool:
    """Where it stands is not known, or everywhere: to mark all of a text shows nothing."""
    return one.start <= 0 and one.end >= len(text)


def pieces(text: str, findings: Iterable[Finding]) -> list[Piece]:
    """The whole text in order, each character once; where findings overlap, one piece names them all."""
    found: list[Piece] = []
    at = 0
    for start, end, kinds in _merged(findings, len(text)):
        if start > at:
            found.append(Piece(visible(text[at:start], block=True)))
        found.append(Piece(visible(text[start:end], block=True), ", ".join(visible(kind) for kind in kinds)))
        at = end
    return [*found, Piece(visible(text[at:], block=True))] if at < len(text) else found


def _merged(findings: Iterable[Finding], length: int) -> list[tuple[int, int, list[str]]]:
    merged: list[tuple[int, int, list[str]]] = []
    for one in sorted(findings, key=lambda finding: (finding.start, finding.end)):
        start, end = max(one.start, 0), min(one.end, length)
        if start >= end:
            continue
        if merged and start < merged[-1][1]:
            begins, ends, kinds = merged.pop()
            merged.append((begins, max(ends, end), list(dict.fromkeys([*kinds, one.kind]))))
        else:
            merged.append((start, end, [one.kind]))
    return merged
