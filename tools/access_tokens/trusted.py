"""Whose tokens are taken, and what they must be meant for: the settings, in one value."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Trusted:
    issuer: str
    audience: str
    jwks_url: str


def trusted() -> Trusted | None:
    """None where access tokens are off. An issuer without an audience is off too: its tokens could be for anybody."""
    if not settings.OAUTH_ISSUER or not settings.OAUTH_AUDIENCE:
        return None
    return Trusted(settings.OAUTH_ISSUER, settings.OAUTH_AUDIENCE, settings.OAUTH_JWKS_URL)


def may_be_plain_http() -> bool:
    """Whoever can change a key set on its way can be anybody, so only a developer's machine goes without https."""
    return bool(settings.DEBUG or settings.DEMO)
