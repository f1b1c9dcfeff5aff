"""Where an issuer's keys are, and the keys, by the one way out. Source: RFC 8414; OpenID Connect Discovery 1.0."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from telemetry.egress import EgressError, request
from tools.access_tokens.key_set import KeySet, NotAKeySet, key_set_of
from tools.access_tokens.trusted import Trusted, may_be_plain_http

FETCH_S = 5.0
LARGEST_BYTES = 256 * 1024


class DiscoveryError(Exception):
    """The keys could not be had. The text names no more than a host, and is for operators' logs."""


def fetch_key_set(issuer: Trusted) -> KeySet:
    """The issuer's keys of this moment, within five seconds. Raises DiscoveryError."""
    deadline = time.monotonic() + FETCH_S
    url = issuer.jwks_url or _jwks_url(issuer.issuer, deadline)
    found = _document(url, deadline)
    if found is None:
        raise DiscoveryError("Nothing is at the address of the keys.")
    try:
        return key_set_of(found)
    except NotAKeySet as problem:
        raise DiscoveryError(str(problem)) from None


def metadata_urls(issuer: str) -> list[str]:
    """Where the issuer's metadata may be: in RFC 8414's place, OpenID Connect's, or a mixture."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    places = (
        f"/.well-known/oauth-authorization-server{path}",
        f"{path}/.well-known/openid-configuration",
        f"/.well-known/openid-configuration{path}",
    )
    return [urlunsplit((parts.scheme, parts.netloc, place, "", "")) for place in dict.fromkeys(places)]


def _jwks_url(issuer: str, deadline: float) -> str:
    for url in metadata_urls(issuer):
        found = _document(url, deadline)
        if found is None:
            continue
        # Otherwise whoever serves one tenant's metadata would speak for another's (RFC 8414, section 3.3).
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise DiscoveryError("The metadata is of another issuer than OBSERVATORY_OAUTH_ISSUER names.")
        jwks_url = found.get("jwks_uri")
        if not isinstance(jwks_url, str):
            raise DiscoveryError("The metadata names no jwks_uri; set OBSERVATORY_OAUTH_JWKS_URL.")
        return jwks_url
    raise DiscoveryError("The issuer publishes no metadata; set OBSERVATORY_OAUTH_JWKS_URL.")


def _document(url: str, deadline: float) -> Any:
    """The JSON at this address; None where nothing is there. Raises DiscoveryError."""
    if urlsplit(url).scheme != "https" and not may_be_plain_http():
        raise DiscoveryError("Keys and metadata are fetched over https only.")
    left = deadline - time.monotonic()
    if left <= 0:
        raise DiscoveryError("The issuer did not answer in time.")
    try:
        answer = request("GET", url, headers={"Accept": "application/json"}, timeout_s=left, max_bytes=LARGEST_BYTES)
    except EgressError as error:
        raise DiscoveryError(f"{error.kind.value}: {error.detail}") from None
    if 400 <= answer.status < 500 and answer.status != 429:
        return None
    if answer.status != 200:
        raise DiscoveryError(f"The issuer answered with status {answer.status}.")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise DiscoveryError("The issuer's answer is not JSON.") from None
