"""Whose request it is, by network address (POD-8). Pure but for the setting that names the proxies we believe."""

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX = 64  # what one subscriber gets: its addresses count as one


def of_request(request: Any) -> str:
    """The address a Django request counts for."""
    return counted(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def of_scope(scope: Mapping[str, Any]) -> str:
    """The address an ASGI connection counts for."""
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return counted((scope.get("client") or ("",))[0], b",".join(forwarded).decode("latin-1"))


def counted(peer: str, forwarded: str = "") -> str:
    """The peer, or, behind trusted proxies, the nearest address that none of them has; an IPv6 one as its /64."""
    proxies = _networks(tuple(settings.TRUSTED_PROXIES))
    found = _address(peer)
    if found is None:
        return peer  # a local socket has no address
    if _is_within(found, proxies):
        for entry in reversed(forwarded.split(",")):
            nearer = _address(entry.strip())
            if nearer is None:
                break  # what stands left of nonsense is no better
            found = nearer
            if not _is_within(found, proxies):
                break
    if found.version == 6:
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)


def _address(text: str) -> Address | None:
    """An address; one of IPv4 that came over IPv6 is the IPv4 one."""
    try:
        found = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def _is_within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
