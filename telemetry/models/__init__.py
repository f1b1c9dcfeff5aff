from telemetry.models.audit import AuditEvent
from telemetry.models.heartbeat import Heartbeat
from telemetry.models.payload import Payload
from telemetry.models.refusal import RefusalCount
from telemetry.models.span import Span

__all__ = ("AuditEvent", "Heartbeat", "Payload", "RefusalCount", "Span")
