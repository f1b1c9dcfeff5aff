"""Which addresses may be called: public unicast, and what the operator opened by EGRESS_ALLOWED_NETWORKS.

The refused networks are a table of our own, because the standard library's idea of a global address changes between
versions. Source: IANA special-purpose address registries; RFC 6890, 6052 (NAT64), 3056 (6to4), 4380 (Teredo).
"""

from __future__ import annotations

import functools
import ipaddress

from django.conf import settings

from telemetry.egress.errors import EgressError, Kind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED = tuple(
    (ipaddress.ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "Teredo or another protocol's"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)
_GLOBAL_UNICAST_6 = ipaddress.ip_network("2000::/3")


def refusal(address: str) -> str | None:
    """Why this address, as the resolver gave it, may not be called; None where it may."""
    return _refusal(address, tuple(settings.EGRESS_ALLOWED_NETWORKS))


def literal(host: str) -> str | None:
    """The address that the host spells out in its standard form, or None for a name or any other form."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


@functools.lru_cache(maxsize=4096)
def _refusal(text: str, allowed: tuple[str, ...]) -> str | None:
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "not an IP address"
    # ::ffff:127.0.0.1 connects to 127.0.0.1, so that is what it is.
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _networks(allowed)):
        return None
    for network, why in _REFUSED:
        if address in network:
            return why
    if address.version == 6 and address not in _GLOBAL_UNICAST_6:
        return "not global unicast"
    return None


@functools.lru_cache(maxsize=16)
def _networks(allowed: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(network) for network in allowed)
    except ValueError:
        raise EgressError(Kind.REFUSED_ADDRESS, "OBSERVATORY_EGRESS_ALLOW holds a word that is no network") from None
