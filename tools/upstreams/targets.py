"""From an upstream's row to where its calls go, with the credential that is shown there."""

from django.conf import settings

from telemetry.encryption import open_sealed, seal
from tools.models import Upstream
from tools.snapshot import UpstreamView
from tools.upstreams.target import Target

SEALED_FOR = "upstream.secret"


class NoCredential(Exception):
    """The upstream wants each agent's own credential, and this agent has none there."""


class CommandUnknown(Exception):
    """The settings no longer hold the command that the upstream names."""


def sealed_for(secret: str, upstream_name: str, agent_id: int | None = None) -> bytes:
    """The secret as it is stored: it opens for this upstream and this agent (or all of them) only."""
    return seal(secret.encode(), purpose=SEALED_FOR, context=_context(upstream_name, agent_id))


def target_for(upstream: UpstreamView, agent_id: int) -> Target:
    """Where this agent's calls go. Raises NoCredential, CommandUnknown, CannotOpen."""
    if upstream.credential != Upstream.Credential.PER_AGENT:
        return listing_target(upstream)
    sealed = upstream.sealed_by_agent.get(agent_id)
    if sealed is None:
        raise NoCredential(f"{upstream.name} wants a credential of each agent's own; an operator stores it in admin.")
    return _target(upstream, _opened(sealed, upstream.name, agent_id))


def listing_target(upstream: UpstreamView) -> Target:
    """Where tools are listed: with the shared credential, where there is one. Raises CommandUnknown, CannotOpen."""
    if upstream.credential == Upstream.Credential.NONE or upstream.sealed_secret is None:
        return _target(upstream, None)
    return _target(upstream, _opened(upstream.sealed_secret, upstream.name, None))


def _target(upstream: UpstreamView, secret: str | None) -> Target:
    shown = ((upstream.credential_name, secret),) if secret is not None and upstream.credential_name else ()
    if upstream.transport != Upstream.Transport.STDIO:
        return Target(
            upstream.id, upstream.name, upstream.transport, upstream.url, headers=shown, timeout_s=upstream.timeout_s
        )
    command = settings.MCP_COMMANDS.get(upstream.command)
    if not command:
        raise CommandUnknown(upstream.command)
    return Target(
        upstream.id,
        upstream.name,
        upstream.transport,
        command=tuple(command),
        environment=shown,
        timeout_s=upstream.timeout_s,
    )


def _opened(sealed: bytes, upstream_name: str, agent_id: int | None) -> str:
    return open_sealed(sealed, purpose=SEALED_FOR, context=_context(upstream_name, agent_id)).decode()


def _context(upstream_name: str, agent_id: int | None) -> str:
    return f"{upstream_name}/{'all' if agent_id is None else agent_id}"
