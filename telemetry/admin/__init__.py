"""Records of what happened, to read."""

from telemetry.admin import audit, spans

__all__ = ("audit", "spans")
