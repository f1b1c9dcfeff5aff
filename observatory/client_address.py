"""Which address a request comes from, behind as many proxies as the operator says are theirs."""

from typing import Any

from django.conf import settings


def client_address(request: Any) -> str:
    """The address that the outermost trusted proxy saw; what a client writes into the header itself is not believed."""
    direct: str = request.META.get("REMOTE_ADDR", "")
    if not settings.PROXIES:
        return direct
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    return forwarded[-settings.PROXIES] if len(forwarded) >= settings.PROXIES else direct
