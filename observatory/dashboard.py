"""What an operator sees first: what needs a decision, what is frozen, how the last hour went, what will need care soon.

Each block is there only for those who may see what it shows; together they cost a fixed number of queries.
"""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, Sum
from django.urls import reverse
from django.utils.http import urlencode

from approvals.models import Commit, PendingAction
from approvals.notices import given_up_since
from approvals.resolution import MAY_RESOLVE
from approvals.wording import arguments_line
from observatory.dashboard_line import Line
from observatory.dashboard_sessions import Sessions, sessions_of_the_day
from observatory.dashboard_watch import firing, watch_lines
from telemetry import trail
from telemetry.models import Heartbeat, RefusalCount, Span
from telemetry.tasks import BEAT, BEAT_STALE
from telemetry.wording import ago, left, seen, span_words
from tools.actions.policies import document_of
from tools.models import AgentKey, KillSwitch, Policy, Upstream, UpstreamHealth, UpstreamTool
from tools.models.upstream import IS_DOWN
from tools.reasons import REASONS

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
SOON = dt.timedelta(days=7)
TOP = 10
FEW = 5


@dataclass(frozen=True)
class LastHour:
    """Calls that came in by the one door since an hour ago, by what became of them. `listed`: where their spans are."""

    listed: str
    calls: int
    denied: int
    held: int
    errors: int
    reasons: list[Line]
    tools: list[Line]


@dataclass
class Dashboard:
    """A block that is None is not for this reader; an empty one has nothing to say."""

    waiting: list[Line] | None = None
    more_waiting: bool = False
    unknown: list[Line] | None = None
    more_unknown: bool = False
    firing: list[Line] | None = None
    more_firing: bool = False
    upstreams: list[Line] | None = None
    frozen: list[Line] | None = None
    hour: LastHour | None = None
    sessions: Sessions | None = None
    health: list[Line] = field(default_factory=list)
    keys: list[Line] | None = None
    drafts: list[Line] | None = None


def dashboard_for(user: Any, now: dt.datetime) -> Dashboard:
    found = Dashboard()
    found.waiting, found.more_waiting = _waiting(user, now)
    if user.has_perm(MAY_RESOLVE):
        found.unknown, found.more_unknown = _unknown(user)
    found.firing, found.more_firing = firing(user, now)
    found.upstreams = _upstreams(user)
    if user.has_perm("tools.view_killswitch"):
        found.frozen = _frozen()
    if user.has_perm("telemetry.view_span"):
        found.hour = _last_hour(now)
    found.sessions = sessions_of_the_day(user, now)
    found.health = _health(user, now)
    if user.has_perm("tools.view_agentkey"):
        found.keys = _expiring_keys(now)
    if user.has_perm("tools.view_policy"):
        found.drafts = [_draft_line(policy) for policy in _unpublished()]
    return found


def _waiting(user: Any, now: dt.datetime) -> tuple[list[Line] | None, bool]:
    """What this person may decide, the most urgent first; None for those who decide nothing."""
    decides_ungrouped = user.has_perm("approvals.decide_pendingaction")
    rows = PendingAction.objects.waiting().decidable_by(user).filter(expires_at__gt=now).exclude(votes__operator=user)
    if not decides_ungrouped:
        rows = rows.exclude(eligible_groups=[])
    found = list(rows.select_related("tool", "agent").order_by("expires_at")[: TOP + 1])
    if not found and not decides_ungrouped:
        return None, False
    lines = [
        Line(
            text=f"{row.tool.name} for {row.agent.name}",
            detail=seen(arguments_line(row), 90),
            note=f"asked {ago(row.created_at)}, {left(row.expires_at)}",
            urgent=row.expires_at - now < dt.timedelta(minutes=10),
            of=row,
        )
        for row in found[:TOP]
    ]
    return lines, len(found) > TOP


def _unknown(user: Any) -> tuple[list[Line], bool]:
    """What was cut off and this person may settle, the newest first."""
    rows = PendingAction.objects.to_settle_by(user).select_related("tool", "agent")
    found = list(rows.order_by("-created_at")[: TOP + 1])
    lines = [
        Line(
            f"{row.tool.name} for {row.agent.name}",
            f"asked {ago(row.created_at)}",
            seen(arguments_line(row), 90),
            of=row,
        )
        for row in found[:TOP]
    ]
    return lines, len(found) > TOP


def _upstreams(user: Any) -> list[Line] | None:
    """Upstream servers that need somebody: tools that changed what they say, tools that wait, servers that are down.

    `of` is the status to look for, or the upstream. None where all is well and for those who may see neither.
    """
    sees_tools, sees_servers = (user.has_perm(f"tools.view_{what}") for what in ("upstreamtool", "upstream"))
    if not (sees_tools or sees_servers):
        return None
    counted = {
        status.value: Count("tools", filter=Q(tools__status=status))
        for status in (UpstreamTool.Status.QUARANTINED, UpstreamTool.Status.OFFERED)
    }
    rows: list[Any] = list(
        Upstream.objects.annotate(**counted, is_down=ExpressionWrapper(IS_DOWN, BooleanField()))
        .filter(Q(is_down=True) | Q(quarantined__gt=0) | Q(offered__gt=0))
        .select_related("health")
        .order_by("name")
    )
    lines = _waiting_tools(rows) if sees_tools else []
    if sees_servers:
        lines += [_down_line(row, row.health) for row in rows if row.is_down][:TOP]
    return lines or None


def _down_line(upstream: Upstream, health: UpstreamHealth) -> Line:
    return Line(
        f"{upstream.name} is down",
        f"last answered {ago(health.answered_at)}" if health.answered_at else "has never answered",
        seen(health.error, 90),
        urgent=True,
        of=upstream,
    )


def _waiting_tools(rows: list[Any]) -> list[Line]:
    lines = []
    for status, one, several, urgent in (
        (UpstreamTool.Status.QUARANTINED, "tool changed what it says", "tools changed what they say", True),
        (UpstreamTool.Status.OFFERED, "offered tool waits", "offered tools wait", False),
    ):
        counts = [(row.name, getattr(row, status.value)) for row in rows if getattr(row, status.value)]
        total = sum(number for _, number in counts)
        if total:
            note = "can't be called until somebody decides" if urgent else ""
            names = seen(", ".join(name for name, _ in counts), 90)
            lines.append(Line(f"{total} {one if total == 1 else several}", note, f"of {names}", urgent, status.value))
    return lines


def _frozen() -> list[Line]:
    engaged = KillSwitch.objects.engaged().select_related("agent", "tool")
    return [
        Line(
            str(switch),
            f"{seen(switch.reason)} ({switch.engaged_by}, {ago(switch.engaged_at)})",
            urgent=True,
            of=switch,
        )
        for switch in engaged
    ]


def _last_hour(now: dt.datetime) -> LastHour:
    groups = list(
        Span.objects.tool_calls()
        .since(now - HOUR)
        .order_by()
        .values("decision", "reason", "tool_name")
        .annotate(number=Count("id"))
    )
    reasons: Counter[str] = Counter()
    tools: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    for group in groups:
        denied = group["decision"].startswith("denied")
        decisions["denied" if denied else group["decision"]] += group["number"]
        if denied:
            reasons[group["reason"]] += group["number"]
            tools[group["tool_name"]] += group["number"]
    return LastHour(
        listed=_listed(now - HOUR),
        calls=decisions.total(),
        denied=decisions["denied"],
        held=decisions["held"],
        errors=decisions["error"],
        reasons=[Line(_title(code), str(number), of=code) for code, number in reasons.most_common(FEW)],
        tools=[Line(seen(name, 56), str(number), of=name) for name, number in tools.most_common(FEW)],
    )


def _listed(begins: dt.datetime) -> str:
    begins = begins.astimezone(dt.UTC)
    words = {
        "origin__exact": Span.Origin.PIPELINE.value,
        "kind__exact": Span.Kind.TOOL_CALL.value,
        "start_time_from_0": f"{begins:%Y-%m-%d}",
        "start_time_from_1": f"{begins:%H:%M:%S}",
    }
    return f"{reverse('admin:telemetry_span_changelist')}?{urlencode(words)}"


def _title(code: str) -> str:
    return REASONS[code].title if code in REASONS else code


def _health(user: Any, now: dt.datetime) -> list[Line]:
    lines = []
    if user.has_perm("telemetry.view_heartbeat"):
        beats = {beat.name: beat for beat in Heartbeat.objects.filter(name__in=[BEAT, trail.FAILURES])}
        lines.append(_beat_line(beats.get(BEAT), now))
        failed = beats.get(trail.FAILURES)
        if failed and failed.failures:
            note = f"{failed.failures} lines were not written, the last {ago(failed.at)}; the database has them"
            lines.append(Line("Audit trail", note, urgent=True))
        else:
            lines.append(Line("Audit trail", "no failed writes"))
    if user.has_perm("telemetry.view_refusalcount"):
        total = RefusalCount.objects.filter(minute__gte=now - HOUR).aggregate(total=Sum("count"))["total"] or 0
        lines.append(Line("Refused before authentication", f"{total} in the last hour"))
    if user.has_perm("approvals.view_commit"):
        refused = Commit.objects.refused().filter(created_at__gte=now - HOUR)
        counts = refused.aggregate(all=Count("pk"), forged=Count("pk", filter=Q(reason="bad_signature")))
        note = f"{counts['all']} in the last hour, {counts['forged']} of them with no genuine token"
        lines.append(Line("Refused commits", note, urgent=counts["forged"] > 0))
    if settings.TELL_BY_EMAIL and user.has_perm("telemetry.view_heartbeat"):
        lines += _mail_line(now)
    return lines + watch_lines(user, now)


def _mail_line(now: dt.datetime) -> list[Line]:
    """Notices that nobody got, today; no line where all is well."""
    failed, last = given_up_since(now - DAY)
    if last is None:
        return []
    count = "1 notice was" if failed == 1 else f"{failed} notices were"
    note = f"{count} given up since yesterday, the last: {seen(last.last_error, 160)}"
    return [
        Line("E-mail to those who decide", note, urgent=True, of=("approvals_pendingaction", last.pending_action_id))
    ]


def _beat_line(beat: Heartbeat | None, now: dt.datetime) -> Line:
    if beat is None:
        return Line("Beat and workers", "never seen: nothing expires, nothing approved in admin runs", urgent=True)
    age = now - beat.at
    if age > BEAT_STALE:
        note = f"silent for {span_words(age)}: nothing expires, nothing approved in admin runs"
        return Line("Beat and workers", note, urgent=True)
    return Line("Beat and workers", f"alive, {span_words(age)} ago")


def _expiring_keys(now: dt.datetime) -> list[Line]:
    keys = (
        AgentKey.objects.usable(now)
        .filter(expires_at__lte=now + SOON, replaced_by=None)
        .select_related("agent")
        .order_by("expires_at")[:TOP]
    )
    return [Line(str(key), f"in {span_words(key.expires_at - now)}", of=key) for key in keys if key.expires_at]


def _unpublished() -> list[Policy]:
    """The policies whose draft differs from what is in force. Four queries, however many policies there are."""
    policies = Policy.objects.select_related("current_revision").prefetch_related("rules__conditions", "rules__groups")
    return [policy for policy in policies if _differs(policy)]


def _differs(policy: Policy) -> bool:
    rules = sorted(policy.rules.all(), key=lambda rule: (rule.position, rule.pk))
    in_force = policy.current_revision
    return in_force is None or in_force.document != document_of(policy, rules).to_json()


def _draft_line(policy: Policy) -> Line:
    if policy.current_revision is None:
        return Line(policy.name, "never published: it allows nothing", of=policy)
    return Line(policy.name, f"differs from r{policy.current_revision.number}, which is in force", of=policy)
