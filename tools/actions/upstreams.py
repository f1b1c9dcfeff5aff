"""Upstream MCP servers and what is shown to them: check, change and event together."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from telemetry import egress
from telemetry.recorder import Actor, Subject, record_event
from tools.actions.changes import changes
from tools.actions.tools import declare_again
from tools.models import Agent, Tool, Upstream, UpstreamCredential, UpstreamHealth
from tools.models.upstream import RESERVED_NAME
from tools.upstreams.targets import sealed_for

Transport, Credential = Upstream.Transport, Upstream.Credential
_SCHEMES = {
    Transport.HTTP: ("https", "http"),
    Transport.SSE: ("https", "http"),
    Transport.WEBSOCKET: ("wss", "ws"),
}
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
# What a connection sets for itself.
_TAKEN_HEADERS = {"host", "content-length", "content-type", "accept", "accept-encoding", "connection", "upgrade"}
# Only what is a credential by its name. Any other variable may make a program run something else than its command line
# says: LD_PRELOAD, NODE_OPTIONS, UV_DEFAULT_INDEX or NPM_CONFIG_REGISTRY (code from elsewhere), GIT_SSH_COMMAND, ...
_VARIABLE = re.compile(
    r"(?=[A-Z_].{0,59}\Z)[A-Z0-9_]*?"
    r"(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|_PWD|_PASS|_PAT|CREDENTIALS?|_AUTH|DSN|CONNECTION_STRING|D(?:ATA)?B(?:ASE)?_UR[IL])"
)
_TAKEN_VARIABLES = re.compile(r"(?:LD|DYLD|BASH)_.*|.*ASK_?PASS")
_VARIABLE_WANTED = (
    "Name the environment variable that carries it, e.g. GITHUB_TOKEN: one whose name ends as a credential's does "
    "(TOKEN, KEY, SECRET, PASSWORD, …). A program that reads another one gets it by its command line."
)


def _subject(upstream: Upstream) -> Subject:
    return Subject("upstream", str(upstream.pk), upstream.name)


# As records call them: under their own names they would be taken for credentials, and masked.
_RECORDED_AS = {"credential": "shown_to_it", "credential_name": "carried_in"}


def _settings(upstream: Upstream) -> dict[str, Any]:
    return {_RECORDED_AS.get(name, name): getattr(upstream, name) for name in Upstream.OPERATOR_FIELDS}


def _where(upstream: Upstream) -> tuple[str, ...]:
    """The whole address: many servers of different owners can stand under one host."""
    return (upstream.transport, upstream.command, upstream.url)


def upstream_problems(upstream: Upstream, *, secret: str | None = None) -> dict[str, str]:
    """What is wrong with an upstream as typed, by field, as far as can be told without calling it."""
    before = Upstream.objects.filter(pk=upstream.pk).first() if upstream.pk else None
    found: list[tuple[str, str]] = []
    if upstream.name == RESERVED_NAME:
        found.append(("name", f"{RESERVED_NAME} is this installation's own name."))
    if upstream.transport == Transport.STDIO:
        found += _program_problems(upstream)
    else:
        found += _address_problems(upstream)
    found += _credential_problems(upstream, before, secret)
    return dict(found)


def _program_problems(upstream: Upstream) -> list[tuple[str, str]]:
    if upstream.url:
        return [("url", "A program on this machine has no URL.")]
    if upstream.command not in settings.MCP_COMMANDS:
        known = ", ".join(sorted(settings.MCP_COMMANDS)) or "none is there yet"
        return [("command", f"Choose a name that OBSERVATORY_MCP_COMMANDS holds ({known}).")]
    return []


def _address_problems(upstream: Upstream) -> list[tuple[str, str]]:
    if upstream.command:
        return [("command", "Only stdio runs a command.")]
    schemes = _SCHEMES[Transport(upstream.transport)]
    scheme, rest = urlsplit(upstream.url).scheme.lower(), upstream.url.partition("://")[2]
    if scheme not in schemes:
        return [("url", f"For this transport a URL begins with {' or '.join(s + '://' for s in schemes)}.")]
    if urlsplit(upstream.url).fragment:
        return [("url", "A URL to connect to has no fragment (#…).")]
    if problem := egress.check_url(f"{'https' if scheme in ('https', 'wss') else 'http'}://{rest}"):
        return [("url", problem)]
    return []


def _credential_problems(upstream: Upstream, before: Upstream | None, secret: str | None) -> list[tuple[str, str]]:
    if upstream.credential == Credential.NONE:
        return [("secret", "Choose whose credential it is first.")] if secret else []
    name, found = upstream.credential_name, list[tuple[str, str]]()
    is_stdio = upstream.transport == Transport.STDIO
    if is_stdio and (not _VARIABLE.fullmatch(name) or _TAKEN_VARIABLES.fullmatch(name)):
        found.append(("credential_name", _VARIABLE_WANTED))
    if not is_stdio and (not _HEADER.fullmatch(name) or name.lower() in _TAKEN_HEADERS):
        found.append(("credential_name", "Name the header that carries it, e.g. Authorization."))
    if secret and (problem := secret_problem(secret)):
        found.append(("secret", problem))
    has_one = before is not None and bool(before.sealed_secret)
    if has_one and not secret and before is not None and _where(before) != _where(upstream):
        # Otherwise whoever may edit the address could have the stored secret sent to a server of their own.
        found.append(("secret", "The calls would go elsewhere: type the credential for there, or choose none."))
    if upstream.credential == Credential.SHARED and not secret and not has_one:
        found.append(("secret", "Type the credential that all agents share."))
    return found


def secret_problem(secret: str) -> str | None:
    """Why this can't be a credential, or None."""
    if not (secret.isascii() and secret.isprintable()):
        return "A credential is printable ASCII only."
    return "At most 4,000 characters." if len(secret) > 4_000 else None


def save_upstream(upstream: Upstream, actor: Actor, *, secret: str | None = None) -> Upstream:
    """The upstream is as given, from the next call on; a secret given is stored encrypted and never shown again.

    Where its calls go elsewhere, each of its tools has a new version, and agents' own credentials are forgotten: they
    were meant for the other place.
    """
    if problems := upstream_problems(upstream, secret=secret):
        raise ValidationError(problems)
    with transaction.atomic():
        before = Upstream.objects.select_for_update().filter(pk=upstream.pk).first() if upstream.pk else None
        if before is not None and before.name != upstream.name:
            raise ValidationError({"name": "An upstream keeps its name; agents and records know its tools by it."})
        if upstream.credential == Credential.NONE:
            upstream.sealed_secret = None
        elif secret:
            upstream.sealed_secret = sealed_for(secret, upstream.name)
        upstream.full_clean()
        upstream.save()
        UpstreamHealth.objects.get_or_create(upstream=upstream)
        _record(upstream, before, actor, secret_changed=bool(secret))
        if before is not None:
            _follow(upstream, before, actor)
    return upstream


def _record(upstream: Upstream, before: Upstream | None, actor: Actor, *, secret_changed: bool) -> None:
    data = {"credential_changed": secret_changed}
    if before is None:
        record_event("upstream.created", actor, _subject(upstream), data=_settings(upstream) | data)
    else:
        changed = changes(_settings(before), _settings(upstream))
        record_event("upstream.changed", actor, _subject(upstream), data=changed | data)


def _follow(upstream: Upstream, before: Upstream, actor: Actor) -> None:
    """What was accepted of another place is not accepted of this one, and another place gets nobody's credential."""
    if _where(before) != _where(upstream) or before.credential_name != upstream.credential_name:
        for credential in upstream.credentials.select_related("agent", "upstream"):
            remove_agent_credential(credential, actor)
    for tool in Tool.objects.filter(upstream_tool__upstream=upstream).select_related("current_version"):
        declare_again(tool, actor)


def store_agent_credential(upstream: Upstream, agent: Agent, secret: str, actor: Actor) -> UpstreamCredential:
    """The agent's calls show this credential to the upstream from now on. It is stored encrypted, never shown again."""
    if upstream.credential != Credential.PER_AGENT:
        raise ValidationError("This upstream takes no credential of each agent's own.")
    if not secret or (problem := secret_problem(secret)):
        raise ValidationError({"secret": problem if secret else "Type the credential."})
    with transaction.atomic():
        Upstream.objects.select_for_update().get(pk=upstream.pk)
        credential, _ = UpstreamCredential.objects.update_or_create(
            upstream=upstream,
            agent=agent,
            defaults={
                "sealed_secret": sealed_for(secret, upstream.name, agent.pk),
                "changed_at": timezone.now(),
            },
        )
        record_event("upstream_credential.stored", actor, _subject(upstream), data={"agent": agent.name})
    return credential


def remove_agent_credential(credential: UpstreamCredential, actor: Actor) -> None:
    """The agent has no credential at the upstream: its calls there are refused."""
    upstream, agent = credential.upstream, credential.agent
    with transaction.atomic():
        credential.delete()
        record_event("upstream_credential.removed", actor, _subject(upstream), data={"agent": agent.name})
