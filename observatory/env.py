"""Every environment variable that the product reads, declared once.

`docs/reference/settings.md` is checked against this table by tests/laws/test_documented.py.
A variable without a default is required: reading it fails loudly and names it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    cast: Any
    default: Any
    meaning: str


def _json(text: str) -> Any:
    """What the text says as JSON; a text that is none is left as it is, for a check to refuse by its name."""
    try:
        return json.loads(text)
    except ValueError:
        return text


VARIABLES = (
    Variable(
        "OBSERVATORY_ENVIRONMENT", str, REQUIRED, "Name of this environment; part of every derived key and agent key."
    ),
    Variable("SECRET_KEY", str, REQUIRED, "Django's secret: signs operators' sessions and forms."),
    Variable(
        "OBSERVATORY_MASTER_SECRET",
        str,
        REQUIRED,
        "At least 32 characters; signing and encryption keys derive from it.",
    ),
    Variable(
        "OBSERVATORY_MASTER_SECRETS_RETIRED",
        list,
        [],
        "Earlier master secrets, comma separated: they still open, never seal.",
    ),
    Variable("DATABASE_URL", str, REQUIRED, "PostgreSQL, as postgresql://user:password@host:5432/name."),
    Variable("MCP_OBSERVATORY_PG_DSN", str, "", "Accepted where DATABASE_URL is not given."),
    Variable("REDIS_URL", str, REQUIRED, "Redis or Valkey: rates and the Celery broker."),
    Variable("CELERY_BROKER_URL", str, "", "Another broker than REDIS_URL, where you want one."),
    Variable("ALLOWED_HOSTS", list, REQUIRED, "Host names that this installation answers to, comma separated."),
    Variable("CSRF_TRUSTED_ORIGINS", list, [], "Origins of admin behind a proxy, as https://host."),
    Variable("DEBUG", bool, False, "Never on outside a developer's machine."),
    Variable(
        "OBSERVATORY_DEMO", bool, False, "The demonstration: its tools, data and fixed key; refused in production."
    ),
    Variable("OBSERVATORY_HTTPS", bool, True, "Secure cookies, HSTS and redirects to https."),
    Variable("OBSERVATORY_PROXIES", int, 0, "How many proxies of yours stand in front, for the caller's address."),
    Variable("OBSERVATORY_ADDRESS_RATE", str, "6000/m", "Requests that one address may send, before any key is read."),
    Variable("OBSERVATORY_AUDIT_TRAIL", str, "", "Where audit events also go as JSON lines: a path, or - for stdout."),
    Variable("OBSERVATORY_EGRESS_ALLOW", list, [], "Private networks that tools may call, as CIDR, comma separated."),
    Variable(
        "OBSERVATORY_MODEL_URL",
        str,
        "",
        "Base address of an OpenAI-compatible model endpoint that proposals are scored by, with its /v1.",
    ),
    Variable("OBSERVATORY_MODEL_NAME", str, "", "The model that the endpoint is asked for; required with its address."),
    Variable(
        "OBSERVATORY_MODEL_PROVIDER",
        str,
        "",
        "Whose model it is, as openai: by provider and model its calls are priced; without one they have no price.",
    ),
    Variable("OBSERVATORY_MODEL_KEY", str, "", "The endpoint's key, sent to it as a bearer token."),
    Variable("OBSERVATORY_MODEL_TIMEOUT_S", float, 20.0, "Most seconds that both outputs of a proposal may take."),
    Variable(
        "OBSERVATORY_MCP_ORIGINS",
        list,
        [],
        "Origins of browser pages that may call /mcp, as https://host; others are 403.",
    ),
    Variable(
        "OBSERVATORY_MCP_COMMANDS",
        _json,
        {},
        "The only programs that stdio upstreams may run, as JSON: a name for each command line.",
    ),
    Variable("OBSERVATORY_MCP_STREAMS", int, 32, "Most open streams of one web process: progress and subscriptions."),
    Variable(
        "OBSERVATORY_MCP_TEST_KEY",
        str,
        "",
        "A key for requests to /mcp that carry none: for the conformance suite, refused in production.",
    ),
    Variable(
        "OBSERVATORY_OAUTH_ISSUER", str, "", "The authorization server whose access tokens are taken, as https://host."
    ),
    Variable(
        "OBSERVATORY_OAUTH_AUDIENCE",
        str,
        "",
        "What tokens must be meant for: this installation's address of /mcp; required with the issuer.",
    ),
    Variable("OBSERVATORY_OAUTH_JWKS_URL", str, "", "Where the issuer's keys are, unless its metadata tells."),
    Variable("OBSERVATORY_DB_POOL_MAX", int, 16, "Most database connections of one process."),
    Variable("OBSERVATORY_SPAN_DAYS", int, 30, "Days that spans are kept."),
    Variable("OBSERVATORY_SPANS_PER_MINUTE", int, 60_000, "Most spans that one key may report in a minute."),
    Variable("OBSERVATORY_SESSION_IDLE_S", int, 3600, "Seconds after which a session that nobody uses has ended."),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        str,
        "",
        "An OpenTelemetry collector that our own spans are sent on to, as https://host:4318; none without.",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_HEADERS", str, "", "Headers for the collector, as name=value, comma separated, URL-encoded."
    ),
    Variable(
        "OBSERVATORY_HEARTBEAT_URL",
        str,
        "",
        "An address outside that is asked every minute while sweeps run; what watches it tells when they stop.",
    ),
    Variable(
        "EMAIL_URL",
        str,
        "",
        "The mail server that tells people what waits, as smtp+tls://user:password@host:587; nobody is told without.",
    ),
    Variable("OBSERVATORY_EMAIL_FROM", str, "", "The sender of such mail; required with EMAIL_URL."),
    Variable(
        "OBSERVATORY_PUBLIC_URL",
        str,
        "",
        "Where people open this installation, as https://host; required with EMAIL_URL.",
    ),
    Variable("OBSERVATORY_DEMO_FOLDER", str, "", "Where the demonstration keeps its data; var/demo unless given."),
    Variable("API_KEY", str, "dev-key", "The demonstration's key; read with OBSERVATORY_DEMO only."),
    Variable(
        "ALLOWED_TOOLS",
        list,
        [
            "search_customer",
            "create_ticket",
            "update_customer_status",
            "send_message",
            "get_incident_impact",
            "transfer_funds",
            "initiate_wire_transfer",
            "issue_invoice_refund",
            "freeze_payment_card",
            "unfreeze_payment_card",
            "create_expedited_shipment",
            "cancel_shipment",
            "schedule_clinic_visit",
            "change_subscription_plan",
            "reset_enterprise_password",
            "publish_feature_flag",
        ],
        "The demonstration's allowlist; read with OBSERVATORY_DEMO only.",
    ),
)


class Environment:
    """Reads declared variables, and only those, from a mapping (the process environment by default)."""

    def __init__(self, source: Mapping[str, str] | None = None) -> None:
        self._env = environ.Env()
        if source is not None:
            self._env.ENVIRON = dict(source)
        self._declared = {v.name: v for v in VARIABLES}

    def __call__(self, name: str) -> Any:
        variable = self._declared[name]
        if variable.default is REQUIRED:
            value = self._env.get_value(name, cast=variable.cast, default=None)
            if value in (None, "", []):
                raise ImproperlyConfigured(f"Set {name}. {variable.meaning}")
            return value
        return self._env.get_value(name, cast=variable.cast, default=variable.default)


def read_dotenv(path: Path = BASE_DIR / ".env") -> None:
    """Values of an .env file stand behind those of the real environment."""
    if path.is_file():
        environ.Env.read_env(str(path), overwrite=False)


def database_url(env: Environment) -> str:
    """DATABASE_URL, or the name that an earlier system used for it."""
    return os.environ.get("DATABASE_URL") or env("MCP_OBSERVATORY_PG_DSN") or env("DATABASE_URL")
