"""What must not be so in production, and an order of stages that would be unsafe. Ids: observatory.E001 and on."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from observatory.pipeline import STAGES
from telemetry.egress import check_url
from telemetry.otel.export import collector_headers
from tools.access_tokens.trusted import may_be_plain_http
from tools.rates import rate_problem

# Each pair: the first must be asked before the second, and why.
ORDER = (
    ("authenticate", "rate_limit", "a rate is a key's"),
    ("authenticate", "resolve_tool", "what is visible depends on the key"),
    ("resolve_tool", "kill_switch", "a tool's freeze needs the tool"),
    ("kill_switch", "policy", "a freeze is above every policy"),
    ("resolve_tool", "schema_guard", "the schema is the tool's"),
    ("schema_guard", "policy", "conditions read arguments of the declared shape"),
    ("session_guard", "policy", "a session narrows the policy"),
    ("policy", "idempotency", "a replay must not answer what is denied now"),
    ("policy", "risk_gate", "the gate carries out what the policy decided"),
    ("idempotency", "risk_gate", "a repeat must not make a second pending action"),
    ("input_guardrails", "risk_gate", "nobody is asked to approve what a detector refuses"),
)


def order_problems(names: Sequence[str]) -> list[str]:
    """Why this order of stages would be unsafe, a sentence each."""
    problems = [f"the stage {name} stands twice" for name in set(names) if names.count(name) > 1]
    for first, second, why in ORDER:
        if first not in names or second not in names:
            problems.append(f"{first} and {second} must both be asked: {why}")
        elif names.index(first) > names.index(second):
            problems.append(f"{first} must come before {second}: {why}")
    return problems


def stage_names() -> list[str]:
    return [stage.name for stage in STAGES]


@register(Tags.security)
def stages_are_in_a_safe_order(**kwargs: Any) -> list[CheckMessage]:
    return [Error(problem, id="observatory.E001") for problem in order_problems(stage_names())]


@register(Tags.security)
def rates_and_networks_can_be_read(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if problem := rate_problem(settings.ADDRESS_RATE):
        found.append(Error(f"OBSERVATORY_ADDRESS_RATE: {problem}", id="observatory.E004"))
    for network in settings.EGRESS_ALLOWED_NETWORKS:
        try:
            ip_network(network)
        except ValueError as error:
            found.append(Error(f"OBSERVATORY_EGRESS_ALLOW: {error}", id="observatory.E005"))
    return found


@register(Tags.security)
def access_tokens_are_for_here(**kwargs: Any) -> list[CheckMessage]:
    issuer, audience, jwks_url = settings.OAUTH_ISSUER, settings.OAUTH_AUDIENCE, settings.OAUTH_JWKS_URL
    if not issuer and not audience and not jwks_url:
        return []
    if not issuer or not audience:
        return [
            Error(
                "OBSERVATORY_OAUTH_ISSUER and OBSERVATORY_OAUTH_AUDIENCE are given together, or neither is nor "
                "OBSERVATORY_OAUTH_JWKS_URL; access tokens are refused until then.",
                id="observatory.E010",
            )
        ]
    found: list[CheckMessage] = []
    addresses = {"OBSERVATORY_OAUTH_ISSUER": issuer, "OBSERVATORY_OAUTH_AUDIENCE": audience}
    for name, url in addresses.items() | ({("OBSERVATORY_OAUTH_JWKS_URL", jwks_url)} if jwks_url else set()):
        if problem := address_problem(url, has_query=name.endswith("JWKS_URL")):
            found.append(Error(f"{name}: {problem}", id="observatory.E011"))
    if not found and urlsplit(audience).path not in ("", "/", "/mcp"):
        found.append(
            Error(
                "OBSERVATORY_OAUTH_AUDIENCE is the address of /mcp, as https://host/mcp: clients compare it with "
                "the address that they call.",
                id="observatory.E012",
            )
        )
    return found


def address_problem(url: str, *, has_query: bool = False) -> str:
    """Why this can't be an issuer, an audience or the address of keys; nothing where it can."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "it can't be read as an address."
    if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain_http()):
        return "it begins with https://."
    if not parts.hostname or parts.username is not None or parts.fragment or (parts.query and not has_query):
        return "it names a host, and no user, query or fragment."
    return check_url(url) or ""


@register(Tags.security)
def commands_are_lists_of_words(**kwargs: Any) -> list[CheckMessage]:
    """A command line that is one text would be taken for a list of its letters."""
    example = '{"time": ["uvx", "mcp-server-time"]}'
    commands = settings.MCP_COMMANDS
    is_fit = isinstance(commands, dict) and all(
        isinstance(words, list) and words and all(isinstance(word, str) and word for word in words)
        for words in commands.values()
    )
    return [] if is_fit else [Error(f"OBSERVATORY_MCP_COMMANDS is not like {example}.", id="observatory.E007")]


@register(Tags.security)
def spans_can_be_sent_on(**kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.OTLP_ENDPOINT and (problem := check_url(settings.OTLP_ENDPOINT)):
        found.append(Error(f"OTEL_EXPORTER_OTLP_ENDPOINT: {problem}", id="observatory.E013"))
    try:
        collector_headers()
    except ValueError as error:
        found.append(Error(f"OTEL_EXPORTER_OTLP_HEADERS: {error}", id="observatory.E014"))
    return found


@register(Tags.security)
def a_sign_of_life_can_be_given(**kwargs: Any) -> list[CheckMessage]:
    if settings.HEARTBEAT_URL and (problem := check_url(settings.HEARTBEAT_URL)):
        return [Error(f"OBSERVATORY_HEARTBEAT_URL: {problem}", id="observatory.E015")]
    return []


@register(Tags.security, deploy=True)
def no_demonstration(**kwargs: Any) -> list[CheckMessage]:
    if settings.DEMO:
        return [
            Error(
                "OBSERVATORY_DEMO is on: its fixed key and tools are for a demonstration only.", id="observatory.E002"
            )
        ]
    return []


@register(Tags.security, deploy=True)
def no_key_for_requests_without_one(**kwargs: Any) -> list[CheckMessage]:
    if settings.MCP_TEST_KEY:
        return [
            Error(
                "OBSERVATORY_MCP_TEST_KEY is set: requests without a key are for the conformance suite only.",
                id="observatory.E006",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def counting_is_shared(**kwargs: Any) -> list[CheckMessage]:
    backend = settings.CACHES["default"]["BACKEND"]
    if "locmem" in backend or "dummy" in backend:
        return [Error("Rates need a cache that all processes share: Redis or Valkey.", id="observatory.E003")]
    return []


@register(Tags.security, deploy=True)
def audit_leaves_the_database(**kwargs: Any) -> list[CheckMessage]:
    if not settings.AUDIT_TRAIL:
        return [
            Warning(
                "Audit events stay in the database only; set OBSERVATORY_AUDIT_TRAIL to keep a copy elsewhere.",
                id="observatory.W001",
            )
        ]
    return []
