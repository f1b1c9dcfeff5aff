"""What upstreams offer, what became of it since, and what operators accept. An upstream's own word changes nothing."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from telemetry.canonical import canonical_bytes
from telemetry.encryption import CannotOpen
from telemetry.recorder import SYSTEM, Actor, Subject, record_event
from telemetry.visible import visible
from tools.actions.tools import declare, save_tool
from tools.models import Tool, Upstream, UpstreamHealth, UpstreamTool
from tools.registry import Declaration
from tools.snapshot import upstream_view
from tools.upstreams.answers import Offer, Unreachable
from tools.upstreams.checks import NOT_CHECKED, Known, findings_of
from tools.upstreams.declarations import Refusal, as_told, declaration_of, digest_of, local_name
from tools.upstreams.pool import POOL
from tools.upstreams.targets import CommandUnknown, listing_target

Status = UpstreamTool.Status
NAMES_RECORDED = 50
# Some seconds of checks: an upstream that changes everything at every look costs no more than that. A small declaration
# counts as a larger one, for its name is compared with every other.
MOST_CHECKED_BYTES, LEAST_COUNTED_BYTES = 1_000_000, 2_000


@dataclass
class Look:
    """What one look at an upstream found. `error` is empty where it answered; `counts` are by what became of tools."""

    error: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, name: str) -> None:
        self.counts[what] += 1
        self.names.setdefault(what, []).append(name)


def _subject(offered: UpstreamTool) -> Subject:
    return Subject("upstream_tool", str(offered.pk), str(offered)[:150])


def _of(upstream: Upstream) -> Subject:
    return Subject("upstream", str(upstream.pk), upstream.name)


def look_at(upstream: Upstream, actor: Actor = SYSTEM) -> Look:
    """The upstream was asked what it offers, outside any transaction, and what it answered is on record.

    A new tool is offered to operators; an accepted one that describes itself otherwise is quarantined; one that is gone
    is withdrawn. Nothing becomes callable by this but what is as it was accepted and had only been away.
    """
    view = upstream_view(upstream, {})
    try:
        offer = POOL.offer(listing_target(view))
    except Unreachable as error:
        return _down(upstream, str(error))
    except CommandUnknown:
        return _down(upstream, "OBSERVATORY_MCP_COMMANDS holds no such command any more.")
    except CannotOpen:
        return _down(upstream, "Its credential can't be opened with the present keys; store it again.")
    with transaction.atomic():
        # One look at a time writes; a look at where the upstream no longer is says nothing.
        locked = Upstream.objects.select_for_update().get(pk=upstream.pk)
        if upstream_view(locked, {}) != view:
            return Look(error="Its settings changed meanwhile; look again.")
        now = timezone.now()
        look = _Stocktaking(locked, offer, now, actor).take()
        _up(locked, offer, look, now)
    return look


def _down(upstream: Upstream, error: str) -> Look:
    with transaction.atomic():
        health, _ = UpstreamHealth.objects.select_for_update().get_or_create(upstream=upstream)
        was_up, health.is_up, health.error, health.checked_at = health.is_up, False, error[:300], timezone.now()
        health.save()
        if was_up:
            record_event(
                "upstream.lost", SYSTEM, Subject("upstream", str(upstream.pk), upstream.name), data={"why": error}
            )
    return Look(error=error)


def _up(upstream: Upstream, offer: Offer, look: Look, now: dt.datetime) -> None:
    health, _ = UpstreamHealth.objects.select_for_update().get_or_create(upstream=upstream)
    is_back = not health.is_up and health.checked_at is not None
    health.is_up, health.error, health.checked_at, health.answered_at = True, "", now, now
    health.protocol_version = offer.protocol_version[:20]
    health.server_name, health.server_version = offer.server_name[:200], offer.server_version[:100]
    health.unreadable = look.names.get("unreadable", [])[:NAMES_RECORDED]
    health.save()
    if is_back:
        record_event("upstream.restored", SYSTEM, _of(upstream))


class _Stocktaking:
    """One offer against what is on record, in the running transaction, with the upstream's row locked."""

    def __init__(self, upstream: Upstream, offer: Offer, now: dt.datetime, actor: Actor) -> None:
        self.upstream, self.offer, self.now, self.actor = upstream, offer, now, actor
        self.known = {row.upstream_name: row for row in upstream.tools.select_for_update()}
        self.look, self.may_check_bytes = Look(), MOST_CHECKED_BYTES

    def take(self) -> Look:
        offered = self._read()
        # Whoever writes of tools keeps everybody else from freezing, revoking or publishing until the transaction ends:
        # so what takes time comes first, and nothing is written before.
        found = {
            name: self._findings(declaration) for name, declaration in offered.items() if self._is_new(declaration)
        }
        for name, declaration in offered.items():
            self._offered(declaration, found.get(name))
        self._gone(set(self.known) - set(offered))
        UpstreamTool.objects.filter(upstream=self.upstream, upstream_name__in=offered).update(last_seen_at=self.now)
        self._record_new()
        return self.look

    def _read(self) -> dict[str, Mapping[str, Any]]:
        """What can be read of the offer, by name."""
        found: dict[str, Mapping[str, Any]] = {}
        for raw in self.offer.tools:
            declaration = declaration_of(raw)
            if isinstance(declaration, Refusal):
                self._unreadable(raw, declaration.detail)
            elif declaration["name"] in found:
                self._unreadable(raw, "named twice")
            else:
                found[declaration["name"]] = declaration
        return found

    def _is_new(self, declaration: Mapping[str, Any]) -> bool:
        """Its checks are of nothing, of another declaration, or were put off."""
        row = self.known.get(declaration["name"])
        return row is None or row.digest != digest_of(declaration) or row.findings == [NOT_CHECKED.as_json()]

    def _unreadable(self, raw: Any, problem: str) -> None:
        name = raw.get("name") if isinstance(raw, Mapping) else None
        told = visible(name[:80]) if isinstance(name, str) and name else "a tool without a name"
        self.look.note("unreadable", f"{told}: {problem}"[:300])

    def _offered(self, declaration: Mapping[str, Any], findings: list[dict[str, Any]] | None) -> None:
        """`findings` are None where those on record stand."""
        row, digest = self.known.get(declaration["name"]), digest_of(declaration)
        if row is None:
            UpstreamTool.objects.create(
                upstream=self.upstream,
                upstream_name=declaration["name"],
                declaration=declaration,
                digest=digest,
                findings=findings or [],
                first_seen_at=self.now,
                last_seen_at=self.now,
                changed_at=self.now,
            )
            self.look.note("offered", declaration["name"])
            return
        was, before = Status(row.status), row.digest
        if findings is not None:
            row.declaration, row.digest, row.findings = declaration, digest, findings
        row.status = _after(was, is_as_accepted=digest == row.accepted_digest)
        if digest == before and row.status == was:
            if findings is not None:
                row.save(update_fields=["findings"])
            self.look.note("unchanged", row.upstream_name)
            return
        row.changed_at = self.now
        row.save()
        self._record_change(row, was, before)

    def _record_change(self, row: UpstreamTool, was: Status, before: str) -> None:
        if row.status == was:
            self.look.note("changed", row.upstream_name)
            return
        what = "returned" if row.status == Status.ACCEPTED else "quarantined"
        self.look.note(what, row.upstream_name)
        data = {"accepted_sha256": row.accepted_digest, "before_sha256": before, "sha256": row.digest}
        record_event(f"upstream_tool.{what}", SYSTEM, _subject(row), data=data)

    def _gone(self, names: set[str]) -> None:
        """What is not offered any more. Nobody has decided about a mere offer, so nothing is left of it."""
        for name in sorted(names):
            row = self.known[name]
            if row.status == Status.OFFERED:
                row.delete()
                self.look.note("taken back", name)
            elif row.status in (Status.ACCEPTED, Status.QUARANTINED):
                if row.status == Status.QUARANTINED:
                    # Else an upstream would lead it out of quarantine by leaving it out of one list.
                    row.accepted_digest = ""
                row.status, row.changed_at = Status.WITHDRAWN, self.now
                row.save()
                self.look.note("withdrawn", name)
                record_event("upstream_tool.withdrawn", SYSTEM, _subject(row))

    def _findings(self, declaration: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.may_check_bytes -= max(LEAST_COUNTED_BYTES, len(canonical_bytes(dict(declaration))))
        if self.may_check_bytes < 0:
            return [NOT_CHECKED.as_json()]
        found = findings_of(declaration, upstream=self.upstream.name, others=self._others)
        return [finding.as_json() for finding in found]

    @cached_property
    def _others(self) -> Mapping[str, Sequence[Known]]:
        """What can be taken for another: every tool of this installation, and what other upstreams offer."""
        own = Tool.objects.exclude(executor=Tool.Executor.MCP).select_related("current_version")
        found: dict[str, list[Known]] = {
            "": [Known(tool.name, tool.name, v.description) for tool in own if (v := tool.current_version)]
        }
        for row in UpstreamTool.objects.exclude(status=Status.DECLINED).select_related("upstream", "tool"):
            name = row.tool.name if row.tool else local_name(row.upstream.name, row.upstream_name)
            told = str(row) if isinstance(name, Refusal) else name
            description = row.declaration["description"]
            known = Known(told, row.upstream_name, description, is_accepted=row.status == Status.ACCEPTED)
            found.setdefault(row.upstream.name, []).append(known)
        return found

    def _record_new(self) -> None:
        names = self.look.names.get("offered", [])
        if names:
            data = {"tools": names[:NAMES_RECORDED], "count": len(names)}
            record_event("upstream_tool.offered", self.actor, _of(self.upstream), data=data)


def _after(status: Status, *, is_as_accepted: bool) -> Status:
    """What a tool that is offered becomes. Out of quarantine leads only an operator."""
    if status in (Status.ACCEPTED, Status.WITHDRAWN):
        return Status.ACCEPTED if is_as_accepted else Status.QUARANTINED
    return status


def accept(
    offered: UpstreamTool,
    actor: Actor,
    *,
    seen_digest: str,
    settings: Mapping[str, Any] | None = None,
    despite_findings: bool = False,
) -> Tool:
    """Agents whose policies allow it may call the tool, as it described itself on the page that was seen.

    `settings` are the operator's for a tool that is new; one that is accepted again keeps its own unless given.
    Raises ValidationError where it changed since, or where blocking findings stand and were not accepted.
    """
    with transaction.atomic():
        Upstream.objects.select_for_update().get(pk=offered.upstream_id)
        row = _locked(offered)
        _refuse_unfit(row, seen_digest, despite_findings=despite_findings)
        tool = row.tool or Tool(name=_name_for(row), executor=Tool.Executor.MCP)
        for name, value in (settings or {}).items():
            setattr(tool, name, value)
        if row.tool is None or settings:
            save_tool(tool, actor)
        row.tool, row.status, row.accepted_digest, row.changed_at = tool, Status.ACCEPTED, row.digest, timezone.now()
        row.save()
        declare(tool, Declaration(**as_told(row.declaration) | {"name": tool.name}, settings={}), actor)
        record_event(
            "upstream_tool.accepted",
            actor,
            _subject(row),
            data={"tool": tool.name, "sha256": row.digest, "findings": [f["check"] for f in row.findings]},
        )
    return tool


def _locked(offered: UpstreamTool) -> UpstreamTool:
    """The row as it is now. A mere offer that was taken back meanwhile has left none."""
    rows = UpstreamTool.objects.select_for_update(of=("self",)).select_related("upstream", "tool")
    row = rows.filter(pk=offered.pk).first()
    if row is None:
        raise ValidationError(f"{offered} is not offered any more.")
    return row


def _refuse_unfit(row: UpstreamTool, seen_digest: str, *, despite_findings: bool) -> None:
    if row.digest != seen_digest:
        raise ValidationError(f"{row} changed since you opened the page; look at it again.")
    if row.status == Status.WITHDRAWN:
        raise ValidationError(f"{row.upstream} does not offer {row.upstream_name} any more.")
    if row.status == Status.ACCEPTED:
        raise ValidationError(f"{row} is accepted as it is.")
    blocking = [finding["detail"] for finding in row.findings if finding["blocking"]]
    if blocking and not despite_findings:
        raise ValidationError([f"{row}: {detail}" for detail in blocking])


def _name_for(row: UpstreamTool) -> str:
    name = local_name(row.upstream.name, row.upstream_name)
    if isinstance(name, Refusal):
        raise ValidationError(f"{row} can't be called here: {name.detail}")
    if Tool.objects.filter(name=name).exists():
        raise ValidationError(f"There is a tool {name} already; two names that differ only in their spelling are one.")
    return name


def decline(offered: UpstreamTool, actor: Actor) -> UpstreamTool:
    """Nobody can call the tool, and it is not asked about again unless an operator opens it."""
    with transaction.atomic():
        row = _locked(offered)
        if row.status == Status.DECLINED:
            raise ValidationError(f"{row} was declined already.")
        row.status, row.changed_at = Status.DECLINED, timezone.now()
        row.save()
        record_event("upstream_tool.declined", actor, _subject(row), data={"sha256": row.digest})
    return row
