"""Where a team's pods may connect to: which networks, and which never."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

#: The public internet, of both families.
ANYWHERE = ("0.0.0.0/0", "::/0")

_CIDR = re.compile(r"[0-9A-Fa-f.:]+/(?:0|[1-9][0-9]{0,2})")
_MAPPED = IPv6Network("::ffff:0:0/96")


def _networks(*cidrs: str) -> tuple[Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)


#: Nobody's business in any case: the node itself, and where clouds hand out its credentials.
_NEVER = _networks(
    "0.0.0.0/8",  # this host
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local, and most clouds' metadata
    "100.100.100.200/32",  # metadata, Alibaba Cloud
    "168.63.129.16/32",  # metadata, Azure
    "192.0.0.192/32",  # metadata, Oracle Cloud
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",  # unspecified
    "::1/128",  # loopback
    "fe80::/10",  # link-local
    "fd00:ec2::/32",  # metadata, AWS
    "fd20:ce::254/128",  # metadata, Google Cloud
    "ff00::/8",  # multicast
)

#: Reachable only by whoever names them: other tenants, nodes and the company's own network are there.
_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT; some clusters' pods
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "fc00::/7",
    "fec0::/10",  # the former site-local
)


def check_cidr(text: str) -> str | None:
    """What is wrong with this network; `None` when pods may be let to it."""
    if _CIDR.fullmatch(text) is None:
        return "must be a network such as '203.0.113.0/24' or '2001:db8::/32'"
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return "must be a network such as '203.0.113.0/24' or '2001:db8::/32'"
    if _is_within(network, _MAPPED):
        return "must not be an IPv4 network written as IPv6"
    if ip_address(text.partition("/")[0]) != network.network_address:
        return f"must not have bits set beyond the prefix length; the network is {network}"
    if any(_is_within(network, never) for never in _NEVER):
        return "must not be loopback, link-local, multicast or a metadata address"
    return None


def ip_block(cidr: str) -> dict[str, Any]:
    """The network as a NetworkPolicy's `ipBlock`, less what is never reachable and what is private.

    Naming a private network, or a part of one, opens it; naming something larger that contains it does not.
    """
    network = ip_network(cidr)
    inside = [other for other in (*_NEVER, *_PRIVATE) if other != network and _is_within(other, network)]
    excepted = [
        str(other)
        for other in inside
        if not any(other != larger and _is_within(other, larger) for larger in inside)
    ]
    return {"cidr": str(network), **({"except": excepted} if excepted else {})}


def _is_within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False
