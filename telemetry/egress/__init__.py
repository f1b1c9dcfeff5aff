"""The one way out: HTTP to addresses that were checked at connect time, bounded in time and size, without redirects."""

from telemetry.egress.client import Response, check_url, request
from telemetry.egress.errors import EgressError, Kind

__all__ = ["EgressError", "Kind", "Response", "check_url", "request"]
