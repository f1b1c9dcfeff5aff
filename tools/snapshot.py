"""The in-process view of keys, tools, policies and switches, keyed by a version row.

`current()` costs one cheap query; everything else is memory. Triggers count the version up in the transaction of
any change, so a change is in force in every process with the first call that starts after its commit.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone

from telemetry.detectors.detector import Detector
from telemetry.guardrails import Guardrails
from telemetry.installed_guardrails import installed_detectors, of_calls, of_sessions
from telemetry.models import GuardrailSettings
from telemetry.recorder import Actor
from tools.models import AccessSubject, AgentKey, KillSwitch, Policy, Tool, Upstream, UpstreamCredential
from tools.policy.compiler import PolicyProblem, Program, compile_policy
from tools.policy.document import DocumentProblem, PolicyDocument
from tools.policy.evaluator import RevisionRef
from tools.policy.visibility import Visible, may_see
from tools.schema_validator import SchemaValidator


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as the stages see it. The digest is of the secret; the secret is nowhere."""

    id: int
    public_id: str
    digest: str
    agent_id: int
    agent_name: str
    owner_id: int
    owner_name: str
    owner_active: bool
    scopes: frozenset[str]
    policy_id: int | None
    rate: str
    expires_at: dt.datetime | None
    revoked: bool
    # Of whose access token, where one proved it: the scopes are then those that the token grants too.
    access_subject: str = ""

    def usable(self, now: dt.datetime) -> bool:
        return self.owner_active and not self.revoked and (self.expires_at is None or self.expires_at > now)

    @property
    def actor(self) -> Actor:
        """Who it is in records."""
        return Actor("agent", self.public_id, self.agent_name, self.access_subject)


@dataclass(frozen=True, slots=True)
class EndpointView:
    method: str
    url: str
    secret_header: str
    sealed_secret: bytes | None


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """An upstream server as calls need it. Secrets are sealed; `sealed_by_agent` is by agent id."""

    id: int
    name: str
    enabled: bool
    transport: str
    url: str
    command: str
    credential: str
    credential_name: str
    sealed_secret: bytes | None
    sealed_by_agent: Mapping[int, bytes]
    timeout_s: int
    mask_secrets: bool


@dataclass(frozen=True)
class ToolView:
    """A tool with its current version, and its schema compiled once per version."""

    id: int
    name: str
    executor: str
    enabled: bool
    risk: str
    read_only: bool
    idempotent: bool
    irreversible: bool
    network: str
    brings_untrusted_text: str
    brings_private_data: str
    sends_outside: str
    requires_approval: bool
    requires_two_phase: bool
    accepts_confirm: bool
    supports_idempotency_key: bool
    requires_idempotency_key: bool
    rate: str
    timeout_s: int
    result_limit_bytes: int
    version_id: int
    version: int
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    annotations: Mapping[str, Any]
    digest: str
    endpoint: EndpointView | None
    upstream: UpstreamView | None
    upstream_name: str
    # As an operator accepted it; a tool of an upstream that is not can't be called.
    is_accepted: bool

    @cached_property
    def validator(self) -> SchemaValidator:
        return SchemaValidator(self.input_schema)

    @cached_property
    def output_validator(self) -> SchemaValidator | None:
        return SchemaValidator(self.output_schema) if self.output_schema is not None else None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The revision in force, compiled; `broken` says why where it can't be."""

    id: int
    name: str
    revision: RevisionRef | None
    program: Program | None
    broken: str = ""


@dataclass(frozen=True)
class Snapshot:
    version: int | None
    keys: Mapping[str, KeyView]
    keys_by_public_id: Mapping[str, KeyView]
    tools: Mapping[str, ToolView]
    policies: Mapping[int, PolicyView]
    frozen_everything: str | None
    frozen_agents: Mapping[int, str]
    frozen_tools: Mapping[int, str]
    guardrails_of_sessions: Guardrails
    guardrails_of_calls: Guardrails
    detectors: tuple[Detector, ...]
    # (issuer, kind, value) of access tokens: the public id of the key; empty where it was unmapped.
    access_subjects: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def policy_of(self, key: KeyView) -> PolicyView | None:
        return self.policies.get(key.policy_id) if key.policy_id is not None else None

    def visible(self, key: KeyView, tool: ToolView) -> Visible:
        """Whether some rule could allow this tool to this key, and which rule, or why not."""
        if not tool.enabled:
            return Visible(False, "The tool is switched off.", "")
        if tool.upstream is not None and not tool.upstream.enabled:
            return Visible(False, "The upstream server is switched off.", "")
        policy = self.policy_of(key)
        if policy is None:
            return Visible(False, "The key has no policy.", "")
        if policy.program is None:
            return Visible(False, policy.broken or "The policy was never published.", "")
        return may_see(policy.program, tool.name)

    def lets(self, key: KeyView, tool_name: str) -> bool:
        """False for a tool that is there and that this key may not see. One that is gone is for others to judge."""
        tool = self.tools.get(tool_name)
        return tool is None or not tool.enabled or self.visible(key, tool).visible

    def tools_for(self, key: KeyView) -> list[ToolView]:
        """What this key may see and call, by name."""
        callable_ones = (tool for _, tool in sorted(self.tools.items()) if tool.is_accepted)
        return [tool for tool in callable_ones if self.visible(key, tool).visible]


class SnapshotChangingError(Exception):
    """Settings change faster than they can be read; the call is denied."""


MOST_READS = 20
_lock = threading.Lock()
_held: Snapshot | None = None
_programs: dict[int, Program] = {}


def current() -> Snapshot:
    """The view that is in force now. Raises a database error where it can't be known."""
    global _held  # noqa: PLW0603 (one view a process is the point)
    version = stored_version()
    held = _held
    if held is not None and version is not None and held.version == version:
        return held
    with _lock:
        held = _held
        if held is not None and version is not None and held.version == version:
            return held
        _held = _load()
        return _held


def stored_version() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM tools_snapshotversion WHERE id = 1")
        row = cursor.fetchone()
    return row[0] if row else None


def _load() -> Snapshot:
    # Read until nothing changed while reading: then all parts are of one version.
    for _ in range(MOST_READS):
        version = stored_version()
        snapshot = _read(version)
        if stored_version() == version:
            return snapshot
    raise SnapshotChangingError


def _read(version: int | None) -> Snapshot:
    keys = [_key_view(k) for k in AgentKey.objects.select_related("agent", "owner").usable(timezone.now())]
    tools = Tool.objects.filter(current_version__isnull=False).select_related(
        "current_version", "http_endpoint", "upstream_tool"
    )
    upstreams = _upstream_views()
    policies = Policy.objects.select_related("current_revision")
    switches = list(KillSwitch.objects.engaged())
    guardrails = GuardrailSettings.objects.first() or GuardrailSettings()
    in_force = {p.current_revision_id for p in policies}
    for gone in [revision_id for revision_id in _programs if revision_id not in in_force]:
        del _programs[gone]
    return Snapshot(
        version=version,
        keys={k.digest: k for k in keys},
        keys_by_public_id={k.public_id: k for k in keys},
        tools={t.name: _tool_view(t, upstreams) for t in tools},
        policies={p.pk: _policy_view(p) for p in policies},
        frozen_everything=next((s.reason for s in switches if s.scope == KillSwitch.Scope.EVERYTHING), None),
        frozen_agents={s.agent_id: s.reason for s in switches if s.agent_id is not None},
        frozen_tools={s.tool_id: s.reason for s in switches if s.tool_id is not None},
        access_subjects=_access_subjects(),
        guardrails_of_sessions=of_sessions(guardrails),
        guardrails_of_calls=of_calls(guardrails),
        detectors=installed_detectors(guardrails),
    )


def _access_subjects() -> dict[tuple[str, str, str], str]:
    # Those in force come last, so that they stand above what was unmapped before.
    rows = AccessSubject.objects.order_by(F("unmapped_at").asc(nulls_last=True))
    found = rows.values_list("issuer", "kind", "value", "unmapped_at", "key__public_id")
    return {
        (issuer, kind, value): public_id if ended is None else "" for issuer, kind, value, ended, public_id in found
    }


def _key_view(key: AgentKey) -> KeyView:
    return KeyView(
        id=key.pk,
        public_id=key.public_id,
        digest=key.digest,
        agent_id=key.agent_id,
        agent_name=key.agent.name,
        owner_id=key.owner_id,
        owner_name=key.owner.get_username(),
        owner_active=key.owner.is_active,
        scopes=frozenset(key.scopes),
        policy_id=key.policy_id,
        rate=key.rate,
        expires_at=key.expires_at,
        revoked=key.revoked_at is not None,
    )


_COPIED = ("id", "name", "executor", *Tool.OPERATOR_FIELDS)


def _upstream_views() -> dict[int, UpstreamView]:
    own: dict[int, dict[int, bytes]] = {}
    for credential in UpstreamCredential.objects.all():
        own.setdefault(credential.upstream_id, {})[credential.agent_id] = bytes(credential.sealed_secret)
    return {upstream.pk: upstream_view(upstream, own.get(upstream.pk, {})) for upstream in Upstream.objects.all()}


def upstream_view(upstream: Upstream, sealed_by_agent: Mapping[int, bytes]) -> UpstreamView:
    return UpstreamView(
        id=upstream.pk,
        name=upstream.name,
        enabled=upstream.enabled,
        transport=upstream.transport,
        url=upstream.url,
        command=upstream.command,
        credential=upstream.credential,
        credential_name=upstream.credential_name,
        sealed_secret=bytes(upstream.sealed_secret) if upstream.sealed_secret else None,
        sealed_by_agent=sealed_by_agent,
        timeout_s=upstream.timeout_s,
        mask_secrets=upstream.mask_secrets,
    )


def _tool_view(tool: Tool, upstreams: Mapping[int, UpstreamView]) -> ToolView:
    version = tool.current_version
    assert version is not None
    endpoint, offered = getattr(tool, "http_endpoint", None), getattr(tool, "upstream_tool", None)
    return ToolView(
        **{name: getattr(tool, name) for name in _COPIED},
        version_id=version.pk,
        version=version.number,
        title=version.title,
        description=version.description,
        input_schema=version.input_schema,
        output_schema=version.output_schema,
        annotations=version.annotations,
        digest=version.digest,
        endpoint=endpoint
        and EndpointView(
            endpoint.method,
            endpoint.url,
            endpoint.secret_header,
            bytes(endpoint.sealed_secret) if endpoint.sealed_secret else None,
        ),
        upstream=upstreams.get(offered.upstream_id) if offered else None,
        upstream_name=offered.upstream_name if offered else "",
        is_accepted=tool.is_as_accepted,
    )


def _policy_view(policy: Policy) -> PolicyView:
    revision = policy.current_revision
    if revision is None:
        return PolicyView(policy.pk, policy.name, None, None)
    ref = RevisionRef(policy.name, revision.number, revision.pk)
    try:
        program = _programs.get(revision.pk)
        if program is None:
            program = _programs[revision.pk] = compile_policy(PolicyDocument.from_json(revision.document))
    except (DocumentProblem, PolicyProblem) as problem:
        # A revision that can't be read any more allows nothing, and says so.
        return PolicyView(policy.pk, policy.name, ref, None, f"The revision can't be read: {problem}")
    return PolicyView(policy.pk, policy.name, ref, program)
