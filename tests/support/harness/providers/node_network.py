"""The node's own network namespace.

All that the node runs lives in a network namespace, joined to this machine by one pair of virtual
interfaces. So the node's ports, its iptables rules and its interfaces cannot meet those of this
machine or of another cluster, no setting of this machine is changed, a firewall rule of Docker's
does not matter, and removing the namespace removes all of it.

Pods reach each other, the node and this machine; there is no way out to the Internet, which nothing
here needs and which makes look-ups of cloud metadata fail at once.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path

from harness.shell import HarnessError, run

NAMESPACE = "xcom-rollout"
_HOST_LINK = "xcom-rollout"
_NODE_LINK = "node0"
_DEFAULT_RANGE = "10.213.0.0/16"


@dataclass(frozen=True)
class Addresses:
    """How one /16 is divided."""

    whole: ipaddress.IPv4Network

    @property
    def host(self) -> str:
        """This machine's end of the link."""
        return str(self.whole[1])

    @property
    def node(self) -> str:
        """The node's end: the API server and the kubelet listen here."""
        return str(self.whole[2])

    @property
    def services(self) -> str:
        """ClusterIPs."""
        return str(ipaddress.ip_network(f"{self.whole[64 * 256]}/18"))

    @property
    def dns(self) -> str:
        """The ClusterIP of cluster DNS."""
        return str(self.whole[64 * 256 + 10])

    @property
    def pods(self) -> str:
        """Pod IPs."""
        return str(ipaddress.ip_network(f"{self.whole[128 * 256]}/17"))


def addresses() -> Addresses:
    """The range from `XCOM_ROLLOUT_NODE_CIDR`, by default 10.213.0.0/16.

    Raises:
        HarnessError: not a private /16.
    """
    text = os.environ.get("XCOM_ROLLOUT_NODE_CIDR", _DEFAULT_RANGE)
    try:
        whole = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise HarnessError(f"XCOM_ROLLOUT_NODE_CIDR is {text!r}: {error}") from error
    if whole.prefixlen != 16 or not whole.is_private:
        raise HarnessError(
            f"XCOM_ROLLOUT_NODE_CIDR is {text!r}: use a private /16 such as {_DEFAULT_RANGE}"
        )
    return Addresses(whole)


def inside(*command: str | Path) -> list[str | Path]:
    """The command, run in the node's network namespace.

    (`ip netns exec` would also hide the cgroup file systems.)
    """
    return ["nsenter", f"--net=/run/netns/{NAMESPACE}", "--", *command]


def create(where: Addresses) -> None:
    """Make the namespace and the link.

    Raises:
        HarnessError: this machine already has a route into the range.
    """
    for route in json.loads(run("ip", "-j", "-4", "route", "show")):
        if route["dst"] != "default" and ipaddress.ip_network(route["dst"]).overlaps(where.whole):
            raise HarnessError(
                f"this machine has a route to {route['dst']} by {route.get('dev')}, inside the "
                f"node's {where.whole}: set XCOM_ROLLOUT_NODE_CIDR to a private /16 that is free"
            )
    run("ip", "netns", "add", NAMESPACE)
    run(
        *("ip", "link", "add", _HOST_LINK, "type", "veth"),
        *("peer", "name", _NODE_LINK, "netns", NAMESPACE),
    )
    run("ip", "address", "add", f"{where.host}/30", "dev", _HOST_LINK)
    run("ip", "link", "set", _HOST_LINK, "up")
    run("ip", "-n", NAMESPACE, "address", "add", f"{where.node}/30", "dev", _NODE_LINK)
    for link in ("lo", _NODE_LINK):
        run("ip", "-n", NAMESPACE, "link", "set", link, "up")
    for network in (where.services, where.pods):
        run("ip", "route", "add", network, "via", where.node, "dev", _HOST_LINK)
    # ClusterIPs are nobody's address: without a route the node itself could not send to them.
    run("ip", "-n", NAMESPACE, "route", "add", where.services, "dev", _NODE_LINK)
    run(*inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))


def remove() -> None:
    """Remove link and namespace, with every interface, route and rule in it."""
    if Path("/sys/class/net", _HOST_LINK).exists():
        run("ip", "link", "delete", _HOST_LINK)
    if Path("/run/netns", NAMESPACE).exists():
        run("ip", "netns", "delete", NAMESPACE)


def exists() -> bool:
    """Whether the namespace is there (it is gone after a reboot)."""
    return Path("/run/netns", NAMESPACE).exists()
