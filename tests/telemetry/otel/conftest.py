"""A collector on loopback that answers as a test wants."""

from tests.telemetry.egress.conftest import closed, listen, opened

__all__ = ("closed", "listen", "opened")
