"""Accepting and declining what upstreams offer, one or several at once: a page shows each whole, then each is decided.

Each form carries the digest of what was shown; what has changed since is refused, and holds up no other.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.request import QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from telemetry.admin.acts import ActsAdmin, operator_of
from telemetry.recorder import Actor
from telemetry.visible import visible
from tools.actions.upstream_offers import accept, decline
from tools.admin.tags import BAD, CAREFUL, GOOD, tag
from tools.admin.upstream_offer import (
    MAY_DECIDE,
    changes_since_accepted,
    keys_by_policy,
    shown_findings,
    shown_offer,
)
from tools.admin.upstream_words import blocking, status_tag, tools_of, undecided
from tools.models import Tool, Upstream, UpstreamTool
from tools.upstreams.differences import Difference
from tools.upstreams.proposals import proposed_settings

log = logging.getLogger(__name__)
MOST = 50
Status = UpstreamTool.Status
ACCEPTABLE = (Status.OFFERED, Status.QUARANTINED, Status.DECLINED)
LIST = "admin:tools_upstreamtool_changelist"
UNREAD = "You have not ticked that you read what was found in it. Nothing was accepted."
STALE = "It changed since you opened the page; look at it again."
FAILED = "It failed on our side. Look at its own page before you try again."
ACCEPTED, DECLINED, UNCHANGED = "accepted", "declined", "left as it is"
_TONES = {ACCEPTED: GOOD, DECLINED: CAREFUL, UNCHANGED: BAD}
_page = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))


class AcceptForm(forms.Form):
    """What an operator decides about one tool. Its own settings are asked for only where it has none yet."""

    chosen = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanWidget())
    digest = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())
    risk = forms.ChoiceField(choices=Tool.Risk.choices, widget=UnfoldAdminSelectWidget())
    network = forms.ChoiceField(choices=Tool.Network.choices, widget=UnfoldAdminSelectWidget())
    read_only = forms.BooleanField(required=False, label="Read-only", widget=UnfoldBooleanWidget())
    idempotent = forms.BooleanField(required=False, widget=UnfoldBooleanWidget())
    irreversible = forms.BooleanField(required=False, widget=UnfoldBooleanWidget())
    read_this = forms.BooleanField(
        required=False, label="I have read this, and accept it all the same", widget=UnfoldBooleanWidget()
    )

    SETTINGS = ("risk", "network", "read_only", "idempotent", "irreversible")

    def __init__(self, offered: UpstreamTool, data: QueryDict | None = None) -> None:
        proposed = proposed_settings(offered.declaration)
        initial = {"digest": offered.digest} | {name: proposed[name] for name in self.SETTINGS if name in proposed}
        super().__init__(data, prefix=f"tool-{offered.pk}", initial=initial)
        if offered.tool_id is not None:
            for name in self.SETTINGS:
                del self.fields[name]
        if not blocking(offered):
            del self.fields["read_this"]

    @property
    def settings(self) -> dict[str, Any] | None:
        """What is set for the tool, or None for one that keeps what it has."""
        chosen = {name: self.cleaned_data[name] for name in self.SETTINGS if name in self.fields}
        return chosen or None


class DeclineForm(forms.Form):
    digest = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput())

    def __init__(self, offered: UpstreamTool, data: QueryDict | None = None) -> None:
        super().__init__(data, prefix=f"tool-{offered.pk}", initial={"digest": offered.digest})


@dataclass(slots=True)
class Row:
    """One tool on the page that asks."""

    offered: UpstreamTool
    form: Any
    offer: dict[str, Any]
    refusal: str = ""
    findings: list[dict[str, Any]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def status_tag(self) -> Any:
        return status_tag(self.offered)

    @property
    def has_changed(self) -> bool:
        """It was accepted once, as something else."""
        return self.offered.tool_id is not None and self.offered.digest != self.offered.accepted_digest


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one tool."""

    offered: UpstreamTool
    outcome: str
    sentence: str = ""

    @property
    def tag(self) -> Any:
        return tag(self.outcome, _TONES[self.outcome])


class AcceptancePages(ActsAdmin):
    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(MAY_DECIDE))

    @admin.action(description="Accept…", permissions=["decide"])
    def accept_selected(self, request: HttpRequest, rows: QuerySet[UpstreamTool]) -> HttpResponse:
        return _ask_about("admin:tools_upstreamtool_accept", rows)

    @admin.action(description="Decline…", permissions=["decide"])
    def decline_selected(self, request: HttpRequest, rows: QuerySet[UpstreamTool]) -> HttpResponse:
        return _ask_about("admin:tools_upstreamtool_decline", rows)

    @_page
    def accept_page(self, request: HttpRequest) -> HttpResponse:
        """GET: each tool whole, with what is proposed for it. POST: each that is ticked is accepted as it was shown."""
        self._allow(request)
        if request.method != "POST":
            found, more = _asked(request.GET)
            return self._accept_form(request, _rows(found), more=more)
        found, _ = _asked(request.POST)
        forms_ = [(offered, AcceptForm(offered, request.POST)) for offered in found]
        actor = operator_of(request)
        results = [_accepted(offered, form, actor) for offered, form in forms_ if _is_chosen(form)]
        if len(forms_) == 1 and results and results[0].outcome == UNCHANGED:
            # One alone is asked about again, as it now stands.
            again, _ = _asked(request.POST)
            return self._accept_form(request, _rows(again), refused=results[0].sentence, status=409)
        return self._results(request, results)

    @_page
    def decline_page(self, request: HttpRequest) -> HttpResponse:
        self._allow(request)
        if request.method == "POST":
            found, _ = _asked(request.POST)
            actor = operator_of(request)
            return self._results(
                request, [_declined(offered, DeclineForm(offered, request.POST), actor) for offered in found]
            )
        found, more = _asked(request.GET)
        rows = [Row(offered, DeclineForm(offered), {"name": visible(str(offered))}) for offered in found]
        callable_ones = sum(offered.is_callable for offered in found)
        context = {
            **self._about(request, rows, "Withdraw" if callable_ones == len(rows) == 1 else "Decline"),
            "more": more,
            "callable": callable_ones,
        }
        return TemplateResponse(request, "tools/upstream_decline.html", context)

    def _allow(self, request: HttpRequest) -> None:
        if not self.has_decide_permission(request):
            raise PermissionDenied

    def _accept_form(
        self, request: HttpRequest, rows: list[Row], *, more: bool = False, refused: str = "", status: int = 200
    ) -> HttpResponse:
        context = {
            **self._about(request, rows, "Accept"),
            "acceptable": sum(not row.refusal for row in rows),
            "more": more,
            "refused": refused,
        }
        return TemplateResponse(request, "tools/upstream_accept.html", context, status=status)

    def _about(self, request: HttpRequest, rows: list[Row], verb: str) -> dict[str, Any]:
        what = visible(str(rows[0].offered)) if len(rows) == 1 else f"{len(rows)} tools of upstream servers"
        return {
            **self.admin_site.each_context(request),
            "title": f"{verb} {what}",
            "opts": self.opts,
            "rows": rows,
            "media": self.media,
            "back": _back_to(rows),
        }

    def _results(self, request: HttpRequest, results: list[Result]) -> HttpResponse:
        if len(results) == 1 and results[0].outcome != UNCHANGED:
            offered = results[0].offered
            messages.success(request, f"{visible(str(offered))}: {results[0].outcome}. {results[0].sentence}")
            return redirect("admin:tools_upstreamtool_change", offered.pk)
        counted = Counter(result.outcome for result in results)
        summary = ", ".join(f"{counted[word]} {word}" for word in _TONES if counted[word])
        context = {
            **self.admin_site.each_context(request),
            "title": summary[:1].upper() + summary[1:] or "Nothing was decided",
            "opts": self.opts,
            "results": results,
            "media": self.media,
            "back": tools_of(results[0].offered.upstream) if results else reverse(LIST),
            "has_accepted": counted[ACCEPTED] > 0,
        }
        status = 200 if not results or len(counted) > counted[UNCHANGED] > 0 or not counted[UNCHANGED] else 409
        return TemplateResponse(request, "tools/upstream_results.html", context, status=status)


def _ask_about(page: str, rows: QuerySet[UpstreamTool]) -> HttpResponse:
    chosen = list(rows.values_list("pk", flat=True)[: MOST + 1])
    return redirect(f"{reverse(page)}?{urlencode({'tool': chosen}, doseq=True)}")


def _asked(query: QueryDict) -> tuple[list[UpstreamTool], bool]:
    """The tools that are asked about, at most MOST, and whether there are more: those named, or all of one upstream
    that nobody has decided about and in which nothing blocks."""
    named = [int(text) for text in query.getlist("tool") if text.isdecimal() and len(text) < 10]
    rows = UpstreamTool.objects.filter(pk__in=named) if named else undecided(query.get("upstream", ""))
    rows = rows.select_related("upstream", "tool__current_version").order_by("upstream__name", "upstream_name")
    found = list(rows[: MOST + 1])
    return found[:MOST], len(found) > MOST


def _back_to(rows: list[Row]) -> str:
    if len(rows) == 1:
        return reverse("admin:tools_upstreamtool_change", args=[rows[0].offered.pk])
    upstreams: set[Upstream] = {row.offered.upstream for row in rows}
    return tools_of(upstreams.pop()) if len(upstreams) == 1 else reverse(LIST)


def _rows(found: list[UpstreamTool]) -> list[Row]:
    policies = keys_by_policy()
    offers = [shown_offer(offered, policies) for offered in found]
    taken = set(Tool.objects.filter(name__in=[offer["name"] for offer in offers]).values_list("name", flat=True))
    return [_row(offered, offer, taken) for offered, offer in zip(found, offers, strict=True)]


def _row(offered: UpstreamTool, offer: dict[str, Any], taken: set[str]) -> Row:
    refusal = offer["problem"]
    if offered.status not in ACCEPTABLE:
        refusal = "It is accepted as it is." if offered.status == Status.ACCEPTED else "It is not offered any more."
    elif offered.tool_id is None and offer["name"] in taken:
        refusal = f"There is a tool {offer['name']} already; two names that differ only in their spelling are one."
    return Row(offered, AcceptForm(offered), offer, refusal, shown_findings(offered), changes_since_accepted(offered))


def _is_chosen(form: AcceptForm) -> bool:
    return bool(form.data.get(form.add_prefix("chosen")))


def _accepted(offered: UpstreamTool, form: AcceptForm, actor: Actor) -> Result:
    if not form.is_valid():
        told = (f"{form[name].label}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())
        return Result(offered, UNCHANGED, " ".join(told))
    given = form.cleaned_data
    if blocking(offered) and not given.get("read_this") and given["digest"] == offered.digest:
        return Result(offered, UNCHANGED, UNREAD)
    try:
        tool = accept(
            offered,
            actor,
            seen_digest=given["digest"],
            settings=form.settings,
            despite_findings=bool(given.get("read_this")),
        )
    except ValidationError as problem:
        return Result(offered, UNCHANGED, visible(" ".join(problem.messages)))
    except Exception:
        log.exception("upstream tool %s could not be accepted", offered.pk)
        return Result(offered, UNCHANGED, FAILED)
    return Result(offered, ACCEPTED, f"Agents whose policies allow it call it {tool.name}.")


def _declined(offered: UpstreamTool, form: DeclineForm, actor: Actor) -> Result:
    if not form.is_valid() or form.cleaned_data["digest"] != offered.digest:
        return Result(offered, UNCHANGED, STALE)
    try:
        decline(offered, actor)
    except ValidationError as problem:
        return Result(offered, UNCHANGED, visible(" ".join(problem.messages)))
    return Result(offered, DECLINED, "Nobody can call it.")
