"""Which address a request comes from, behind as many proxies as the operator says are theirs."""

from ipaddress import ip_address
from typing import Any

from django.conf import settings


def client_address(request: Any) -> str:
    """The address that the outermost trusted proxy saw; what a client writes into the header itself is not believed."""
    direct: str = request.META.get("REMOTE_ADDR", "")
    if not settings.PROXIES:
        return direct
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if len(forwarded) < settings.PROXIES:
        return direct
    return _address(forwarded[-settings.PROXIES]) or direct


def _address(text: str) -> str:
    """The address in its one spelling, without the port that some proxies add; empty where it is none."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        return ""
