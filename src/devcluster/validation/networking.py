"""Services and NetworkPolicies."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from devcluster.objects import Object
from devcluster.validation.names import check_labels, check_selector
from devcluster.validation.report import Report

_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PREFIX_LENGTH = re.compile(r"/[0-9]+$")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_service(report: Report, obj: Object) -> None:
    """A Service."""
    spec = obj.get("spec", {})
    ports = spec.get("ports", ())
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        report.required("spec.ports")
    report.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    report.one_of("spec.type", spec.get("type"), _SERVICE_TYPES)
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        report.required("spec.externalName")
    names: set[str] = set()
    taken: set[tuple[Any, Any]] = set()
    for position, port in enumerate(ports):
        field = f"spec.ports[{position}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            report.required(f"{field}.name")
        elif name and name in names:
            report.duplicate(f"{field}.name", name)
        names.add(name)
        report.port(f"{field}.port", port.get("port"))
        report.one_of(f"{field}.protocol", port.get("protocol"), _PROTOCOLS)
        target = port.get("targetPort")
        if isinstance(target, int):
            report.port(f"{field}.targetPort", target)
        key = (port.get("port"), port.get("protocol"))
        if key in taken:
            report.duplicate(field, port)
        taken.add(key)
    check_labels(report, spec.get("selector"), "spec.selector")


def check_service_update(report: Report, obj: Object, live: Object) -> None:
    """The address of a Service stays."""
    before, after = live["spec"].get("clusterIPs"), obj["spec"].get("clusterIPs")
    if before and after and before[0] != after[0] and obj["spec"].get("type") != "ExternalName":
        report.invalid("spec.clusterIPs[0]", after, "may not change once set")


def check_network_policy(report: Report, obj: Object) -> None:
    """A NetworkPolicy."""
    spec = obj.get("spec", {})
    check_selector(report, spec.get("podSelector", {}), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for position, rule in enumerate(spec.get(direction, ())):
            field = f"spec.{direction}[{position}]"
            for number, port in enumerate(rule.get("ports", ())):
                _check_policy_port(report, port, f"{field}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers, ())):
                _check_peer(report, peer, f"{field}.{peers}[{number}]")
    types = spec.get("policyTypes", ())
    for position, policy_type in enumerate(types):
        report.one_of(f"spec.policyTypes[{position}]", policy_type, ("Ingress", "Egress"))


def _check_policy_port(report: Report, port: Mapping[str, Any], field: str) -> None:
    report.one_of(f"{field}.protocol", port.get("protocol"), _PROTOCOLS)
    if isinstance(port.get("port"), int):
        report.port(f"{field}.port", port["port"])
        end = port.get("endPort")
        if end is not None and end < port["port"]:
            report.invalid(f"{field}.endPort", end, "must be greater than or equal to `port`")


def _check_peer(report: Report, peer: Mapping[str, Any], field: str) -> None:
    if not peer:
        report.required(field, "must specify a peer")
    for selector in ("podSelector", "namespaceSelector"):
        if selector in peer:
            check_selector(report, peer[selector], f"{field}.{selector}")
    block = peer.get("ipBlock")
    if block is None:
        return
    if len(peer) > 1:
        report.forbidden(field, "may not specify both ipBlock and another peer")
    _check_block(report, block, f"{field}.ipBlock")


def _check_block(report: Report, block: Mapping[str, Any], field: str) -> None:
    cidr = block.get("cidr", "")
    if not cidr:
        report.required(f"{field}.cidr")
        return
    network = _network(report, cidr, f"{field}.cidr")
    for position, text in enumerate(block.get("except", ())):
        here = f"{field}.except[{position}]"
        part = _network(report, text, here)
        if network is None or part is None:
            continue
        if part.version != network.version or not _inside(part, network) or part == network:
            report.invalid(here, text, "must be a strict subset of `cidr`")


def _inside(part: Network, whole: Network) -> bool:
    return part.network_address in whole and part.broadcast_address in whole


def _network(report: Report, text: str, field: str) -> Network | None:
    try:
        # A mask in dots, which Python would take, is no prefix length.
        network = ipaddress.ip_network(text, strict=False) if _PREFIX_LENGTH.search(text) else None
    except ValueError:
        network = None
    if network is None:
        report.invalid(field, text, _CIDR_RULE)
        return None
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        report.invalid(field, text, "must not have bits set beyond the prefix length")
    return network
