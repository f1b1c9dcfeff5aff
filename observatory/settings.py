"""One settings file; everything that differs between installations comes from the environment (observatory/env.py)."""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from observatory import admin_look, content_security
from observatory.env import BASE_DIR, Environment, database_url, read_dotenv
from observatory.version import VERSION

read_dotenv()
env = Environment()

ENVIRONMENT = env("OBSERVATORY_ENVIRONMENT")
DEMO = env("OBSERVATORY_DEMO")
DEBUG = env("DEBUG")
SECRET_KEY = env("SECRET_KEY")
MASTER_SECRET = env("OBSERVATORY_MASTER_SECRET")
MASTER_SECRETS_RETIRED = env("OBSERVATORY_MASTER_SECRETS_RETIRED")
if len(MASTER_SECRET) < 32:
    raise ImproperlyConfigured("OBSERVATORY_MASTER_SECRET needs at least 32 characters.")
ALLOWED_HOSTS = env("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "observatory.apps.ObservatoryAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "telemetry.apps.TelemetryConfig",
    "tools.apps.ToolsConfig",
    "approvals.apps.ApprovalsConfig",
    "observatory.apps.ObservatoryConfig",
    *(["observatory.demo.apps.DemoConfig"] if DEMO else []),
]

MIDDLEWARE = [
    "observatory.address_throttle.AddressThrottle",
    "observatory.challenge.TokenChallenge",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

UNFOLD = admin_look.UNFOLD
CONTENT_SECURITY_POLICY = content_security.CONTENT_SECURITY_POLICY

ROOT_URLCONF = "observatory.urls"
WSGI_APPLICATION = "observatory.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

_database = environ.Env.db_url_config(database_url(env))
_options = _database.pop("OPTIONS", {})
DATABASES = {
    "default": _database
    | {
        # A socket folder comes as ?host=; Django wants it as HOST.
        "HOST": _database["HOST"] or _options.pop("host", ""),
        "PORT": _database["PORT"] or _options.pop("port", ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": _options
        | {
            "pool": {"min_size": 1, "max_size": env("OBSERVATORY_DB_POOL_MAX"), "timeout": 5},
            "application_name": "mcp-observatory",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "tools.counting_cache.CountingCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"observatory:{ENVIRONMENT}",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}
RATELIMIT_FAIL_OPEN = False
ADDRESS_RATE = env("OBSERVATORY_ADDRESS_RATE")
PROXIES = env("OBSERVATORY_PROXIES")

CELERY_BROKER_URL = env("CELERY_BROKER_URL") or REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "global_keyprefix": f"observatory:{ENVIRONMENT}:"}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "create partitions": {"task": "telemetry.create_partitions", "schedule": 3600.0},
    "drop old partitions": {"task": "telemetry.drop_partitions", "schedule": 3600.0},
    "drop expired payloads": {"task": "telemetry.drop_payloads", "schedule": 300.0},
    "roll up": {"task": "telemetry.roll_up", "schedule": 20.0},
    "expire idle sessions": {"task": "telemetry.expire_sessions", "schedule": 60.0},
    "drop old rollups": {"task": "telemetry.drop_rollups", "schedule": 3600.0},
    "look at upstreams": {"task": "tools.look_at_upstreams", "schedule": 60.0},
    "sweep idempotency records": {"task": "tools.sweep_idempotency", "schedule": 300.0},
    "expire pending actions": {"task": "approvals.expire_actions", "schedule": 30.0},
    "recover lapsed actions": {"task": "observatory.recover_actions", "schedule": 30.0},
    "revoke changed approvals": {"task": "approvals.revoke_changed", "schedule": 30.0},
    "sweep spent nonces": {"task": "approvals.sweep_nonces", "schedule": 300.0},
    "send notices": {"task": "approvals.send_notices", "schedule": 15.0},
    "run approved actions": {"task": "observatory.run_approved", "schedule": 10.0},
    "send spans on": {"task": "telemetry.export_spans", "schedule": 10.0},
    "heartbeat": {"task": "telemetry.heartbeat", "schedule": 15.0},
    "evaluate alerts": {"task": "telemetry.evaluate_alerts", "schedule": 60.0},
    "send alerts": {"task": "telemetry.send_alerts", "schedule": 10.0},
    "give a sign of life": {"task": "telemetry.give_sign", "schedule": 60.0},
    "sweep reports": {"task": "telemetry.sweep_reports", "schedule": 30.0},
}

_email = environ.Env.email_url_config(env("EMAIL_URL")) if env("EMAIL_URL") else {}
TELL_BY_EMAIL = bool(_email)
EMAIL_BACKEND = _email.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST = _email.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _email.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _email.get("EMAIL_FILE_PATH") or None
# A notice's row is locked while it is sent; a mail server that hangs must not hold it for long.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("OBSERVATORY_EMAIL_FROM")
PUBLIC_URL = env("OBSERVATORY_PUBLIC_URL")
if TELL_BY_EMAIL and not (DEFAULT_FROM_EMAIL and PUBLIC_URL):
    raise ImproperlyConfigured("With EMAIL_URL, set OBSERVATORY_EMAIL_FROM and OBSERVATORY_PUBLIC_URL too.")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

HTTPS = env("OBSERVATORY_HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^health/ready$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 8 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Bodies of the doors are bounded and parsed by the doors themselves; this bounds admin's forms.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["observatory.formats"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
# Served from the source folders on a developer's machine; collected elsewhere.
STATIC_ROOT = None if DEMO or DEBUG else BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "observatory" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEMO or DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEMO or DEBUG

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["observatory.doors.key_authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["observatory.doors.key_authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "observatory.doors.openapi.DoorSchema",
    "EXCEPTION_HANDLER": "observatory.doors.problem.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}

AUDIT_TRAIL = env("OBSERVATORY_AUDIT_TRAIL")
EGRESS_ALLOWED_NETWORKS = env("OBSERVATORY_EGRESS_ALLOW")
MODEL_URL = env("OBSERVATORY_MODEL_URL")
MODEL_NAME = env("OBSERVATORY_MODEL_NAME")
MODEL_PROVIDER = env("OBSERVATORY_MODEL_PROVIDER")
MODEL_KEY = env("OBSERVATORY_MODEL_KEY")
MODEL_TIMEOUT_S = env("OBSERVATORY_MODEL_TIMEOUT_S")
if MODEL_URL and not MODEL_NAME:
    raise ImproperlyConfigured("Set OBSERVATORY_MODEL_NAME: OBSERVATORY_MODEL_URL needs the name of a model.")
MCP_ALLOWED_ORIGINS = env("OBSERVATORY_MCP_ORIGINS")
MCP_COMMANDS = env("OBSERVATORY_MCP_COMMANDS")
if not isinstance(MCP_COMMANDS, dict):
    raise ImproperlyConfigured('OBSERVATORY_MCP_COMMANDS is JSON, like {"time": ["uvx", "mcp-server-time"]}.')
MCP_STREAMS = env("OBSERVATORY_MCP_STREAMS")
MCP_TEST_KEY = env("OBSERVATORY_MCP_TEST_KEY")
OAUTH_ISSUER = env("OBSERVATORY_OAUTH_ISSUER")
OAUTH_AUDIENCE = env("OBSERVATORY_OAUTH_AUDIENCE")
OAUTH_JWKS_URL = env("OBSERVATORY_OAUTH_JWKS_URL")
SPAN_DAYS = env("OBSERVATORY_SPAN_DAYS")
SPANS_PER_MINUTE = env("OBSERVATORY_SPANS_PER_MINUTE")
SESSION_IDLE_S = env("OBSERVATORY_SESSION_IDLE_S")
OTLP_ENDPOINT = env("OTEL_EXPORTER_OTLP_ENDPOINT")
OTLP_HEADERS = env("OTEL_EXPORTER_OTLP_HEADERS")
HEARTBEAT_URL = env("OBSERVATORY_HEARTBEAT_URL")
DEMO_FOLDER = Path(env("OBSERVATORY_DEMO_FOLDER") or BASE_DIR / "var" / "demo")
DEMO_API_KEY = env("API_KEY") if DEMO else ""
DEMO_ALLOWED_TOOLS = env("ALLOWED_TOOLS") if DEMO else []

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "telemetry.log_lines.OneLine", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}

SPECTACULAR_SETTINGS = {
    "TITLE": "MCP Observatory",
    "DESCRIPTION": "The control plane between AI agents and the tools they call.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["observatory.doors.openapi.MayReadSchema"],
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "Bearer": {"type": "http", "scheme": "bearer"},
        }
    },
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
}
