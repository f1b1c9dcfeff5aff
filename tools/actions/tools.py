"""Tools: what code declares, and what operators set."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from telemetry import egress
from telemetry.canonical import LARGEST_INTEGER
from telemetry.canonical import digest as sha256
from telemetry.encryption import seal
from telemetry.recorder import SYSTEM, Actor, Subject, record_event
from tools.actions.changes import changes
from tools.executors.http import SEALED_FOR
from tools.models import HttpEndpoint, Tool, ToolVersion, UpstreamTool
from tools.models.tool import RESERVED_ENDINGS
from tools.registry import Declaration, registered
from tools.reserved_names import RESERVED_PREFIX
from tools.schema_validator import SchemaProblem, SchemaValidator

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")


def _subject(tool: Tool) -> Subject:
    return Subject("tool", str(tool.pk), tool.name)


def _settings(tool: Tool) -> dict[str, Any]:
    return {name: getattr(tool, name) for name in Tool.OPERATOR_FIELDS}


def schema_problem(schema: Any) -> str | None:
    """What is wrong with an input or output schema, or None. Never fetches."""
    if not isinstance(schema, dict):
        return "A schema is a JSON object."
    if large := _large_number(schema):
        return f"{large} can't be told to every agent: numbers go up to 2^53."
    if schema.get("type") != "object":
        return 'The root must be {"type": "object", ...}.'
    try:
        SchemaValidator(schema)
    except SchemaProblem as problem:
        return str(problem)
    return None


def _large_number(value: Any) -> str:
    """A number that JSON readers would disagree on, or nothing."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return next((found for item in inside if (found := _large_number(item))), "")
    is_large = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > LARGEST_INTEGER
    return str(value) if is_large else ""


def check_name(name: str) -> None:
    if name.endswith(RESERVED_ENDINGS):
        raise ValidationError(
            {"name": f"The endings {' and '.join(RESERVED_ENDINGS)} are reserved for two-phase tools."}
        )
    if name.startswith(RESERVED_PREFIX):
        raise ValidationError({"name": f"Names that begin with {RESERVED_PREFIX} are this installation's own tools."})


def save_tool(tool: Tool, actor: Actor) -> Tool:
    """The operators' settings of a tool are as given, from the next call on."""
    check_name(tool.name)
    with transaction.atomic():
        tool.full_clean()
        before = Tool.objects.select_for_update().filter(pk=tool.pk).first() if tool.pk else None
        if before is not None and before.name != tool.name:
            raise ValidationError({"name": "A tool keeps its name; agents and records know it by that."})
        # Only what operators set: a version declared meanwhile stays.
        tool.save(update_fields=None if before is None else [*Tool.OPERATOR_FIELDS])
        if before is None:
            record_event("tool.registered", actor, _subject(tool), data=_settings(tool) | {"executor": tool.executor})
        else:
            record_event("tool.changed", actor, _subject(tool), data=changes(_settings(before), _settings(tool)))
    return tool


def declare(tool: Tool, declaration: Declaration, actor: Actor) -> ToolVersion | None:
    """The tool's current version is the declaration; None where it was already."""
    for schema in (declaration.input_schema, declaration.output_schema):
        if schema is not None and (problem := schema_problem(schema)):
            raise ValidationError(problem)
    with transaction.atomic():
        locked = Tool.objects.select_for_update(of=("self",)).select_related("current_version").get(pk=tool.pk)
        current, digest = locked.current_version, replace(declaration, destination=_destination(locked)).digest
        if current is not None and current.digest == digest:
            return None
        number = (locked.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        version = ToolVersion(
            tool=locked,
            number=number,
            title=declaration.title,
            description=declaration.description,
            input_schema=declaration.input_schema,
            output_schema=declaration.output_schema,
            annotations=declaration.annotations,
            digest=digest,
        )
        version.save(force_insert=True)
        Tool.objects.filter(pk=tool.pk).update(current_version=version)
        record_event(
            "tool.version",
            actor,
            _subject(tool),
            data={"version": number, "sha256": digest, "before": current.digest if current else ""},
        )
        tool.current_version = version
    return version


def _destination(tool: Tool) -> str:
    """Where calls of the tool go and with which credential, told apart but not told; empty for a Python tool."""
    offered = UpstreamTool.objects.filter(tool=tool).select_related("upstream").first()
    if offered is not None:
        return _destination_upstream(offered)
    endpoint = HttpEndpoint.objects.filter(tool=tool).first()
    if endpoint is None:
        return ""
    credential = sha256(bytes(endpoint.sealed_secret)) if endpoint.sealed_secret else ""
    return f"{endpoint.method} {endpoint.url} {endpoint.secret_header} {credential}".strip()


def _destination_upstream(offered: UpstreamTool) -> str:
    upstream = offered.upstream
    credential = sha256(bytes(upstream.sealed_secret)) if upstream.sealed_secret else ""
    shown = f"{upstream.credential} {upstream.credential_name} {credential}"
    return f"{upstream.transport} {upstream.url}{upstream.command} {shown} {offered.upstream_name}".strip()


def declare_again(tool: Tool, actor: Actor) -> None:
    """What was approved for another destination is not approved for this one: the tool has a new version."""
    version = tool.current_version
    if version is not None:
        same = Declaration(
            name=tool.name,
            title=version.title,
            description=version.description,
            input_schema=version.input_schema,
            output_schema=version.output_schema,
            annotations=version.annotations,
            settings={},
        )
        declare(tool, same, actor)


def sync_python_tools(actor: Actor = SYSTEM) -> Mapping[str, str]:
    """Every `@tool` of the installed apps is a row with its current version; what became of each, by name.

    A new tool is visible to nobody until a policy allows it. Settings that operators changed stay as they are.
    A tool whose code is gone is switched off.
    """
    found = registered()
    report: dict[str, str] = {}
    for name, python_tool in sorted(found.items()):
        tool = Tool.objects.filter(name=name).first()
        if tool is None:
            tool = save_tool(Tool(name=name, executor=Tool.Executor.PYTHON, **python_tool.declaration.settings), actor)
            report[name] = "new"
        elif tool.executor != Tool.Executor.PYTHON:
            report[name] = "not registered: an HTTP tool has this name"
            continue
        version = declare(tool, python_tool.declaration, actor)
        if version is not None and report.get(name) != "new":
            report[name] = f"version {version.number}"
    for tool in Tool.objects.filter(executor=Tool.Executor.PYTHON, enabled=True).exclude(name__in=found):
        with transaction.atomic():
            Tool.objects.filter(pk=tool.pk).update(enabled=False)
            record_event("tool.withdrawn", actor, _subject(tool))
        report[tool.name] = "withdrawn"
    return report


def save_http_tool(
    tool: Tool, declaration: Declaration, endpoint: HttpEndpoint, actor: Actor, *, secret: str | None = None
) -> Tool:
    """Settings, declaration and endpoint of an HTTP tool are as given: all three, or nothing."""
    with transaction.atomic():
        save_tool(tool, actor)
        endpoint.tool = tool
        _store_endpoint(endpoint, actor, declaration.input_schema, secret)
        declare(tool, declaration, actor)
    return tool


def endpoint_problems(
    endpoint: HttpEndpoint, schema: Mapping[str, Any], *, secret: str | None = None
) -> dict[str, str]:
    """What is wrong with an endpoint, by field, as far as can be told without calling it; empty where nothing is."""
    before = HttpEndpoint.objects.filter(pk=endpoint.pk).first() if endpoint.pk else None
    moved = before is not None and bool(before.sealed_secret) and _origin(before) != _origin(endpoint)
    parts = urlsplit(endpoint.url)
    missing = sorted(set(_PLACEHOLDER.findall(endpoint.url)) - set(schema.get("required", ())))
    found: list[tuple[str, str]] = []
    if problem := egress.check_url(endpoint.url):
        found.append(("url", problem))
    elif "{" in parts.scheme + parts.netloc:
        found.append(("url", "An argument may fill in the path or the query; the host is the operator's to choose."))
    elif missing:
        found.append(("url", f"The input schema must require what the URL fills in: {', '.join(missing)}."))
    elif moved and endpoint.secret_header and not secret:
        # Otherwise whoever may edit the URL could have the stored secret sent to a host of their own.
        found.append(("secret", "The calls would go to another host: type its secret, or clear the header's name."))
    if endpoint.secret_header and not _HEADER.fullmatch(endpoint.secret_header):
        found.append(("secret_header", "A header's name is letters, digits and dashes, e.g. Authorization."))
    if secret and not endpoint.secret_header:
        found.append(("secret_header", "Name the header that carries the secret, e.g. Authorization."))
    if secret and not (secret.isascii() and secret.isprintable()):
        found.append(("secret", "A header carries printable ASCII only."))
    return dict(found)


def _origin(endpoint: HttpEndpoint) -> tuple[str, str]:
    parts = urlsplit(endpoint.url)
    return parts.scheme.lower(), parts.netloc.lower()


def save_endpoint(endpoint: HttpEndpoint, actor: Actor, *, secret: str | None = None) -> HttpEndpoint:
    """Calls of the tool go to this endpoint; a secret given is stored encrypted and never shown again.

    Without a header's name, the stored secret is forgotten.
    """
    version = endpoint.tool.current_version
    with transaction.atomic():
        _store_endpoint(endpoint, actor, version.input_schema if version else {}, secret)
        declare_again(endpoint.tool, actor)
    return endpoint


def _store_endpoint(endpoint: HttpEndpoint, actor: Actor, schema: Mapping[str, Any], secret: str | None) -> None:
    if problems := endpoint_problems(endpoint, schema, secret=secret):
        raise ValidationError(problems)
    with transaction.atomic():
        if secret:
            endpoint.sealed_secret = seal(secret.encode(), purpose=SEALED_FOR, context=endpoint.tool.name)
        elif not endpoint.secret_header:
            endpoint.sealed_secret = None
        endpoint.full_clean(exclude=["tool"])
        before = HttpEndpoint.objects.filter(pk=endpoint.pk).first() if endpoint.pk else None
        if before is not None and not secret and _told(before) == _told(endpoint):
            return
        endpoint.save()
        record_event(
            "tool.changed",
            actor,
            _subject(endpoint.tool),
            data={"endpoint": str(endpoint), "header": endpoint.secret_header, "credential_changed": bool(secret)},
        )


def _told(endpoint: HttpEndpoint) -> tuple[str, str]:
    """What the audit event tells of an endpoint; the credential is apart."""
    return str(endpoint), endpoint.secret_header
