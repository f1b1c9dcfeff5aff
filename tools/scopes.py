"""What a key may do at the doors. The words are on the wire."""

from django.db import models


class Scope(models.TextChoices):
    TOOLS_CALL = "tools:call", "Discover and call tools"
    ACTIONS_CONFIRM = "actions:confirm", "Approve or reject pending actions, as the key's owner"
    SESSIONS_WRITE = "sessions:write", "Open sessions and send steps"
    REPORTS_READ = "reports:read", "Read reports"
    TELEMETRY_WRITE = "telemetry:write", "Send spans"
    TELEMETRY_READ = "telemetry:read", "Read metrics and alerts"
    AUDIT_READ = "audit:read", "Read audit events"
    DECISIONS_READ = "decisions:read", "Ask what a call would be answered"
    HEALTH_READ = "health:read", "Read the state of the parts"
