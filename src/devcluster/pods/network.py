"""Gives every pod a loopback address of its own, so that many can listen on one port."""

import ipaddress
import socket
from collections import deque
from types import TracebackType
from typing import Self

#: Second numbers of `127.N.0.0/16` that nodes choose from, one for each dev cluster on the machine.
_NETWORKS = range(66, 126)
#: Held on the node's own address as long as the node lives; the kubelet's port.
_NODE_PORT = 10250


class NoNetwork(Exception):
    """No free network of loopback addresses."""


class PodNetwork:
    """A /16 of loopback addresses which no other dev cluster on the machine uses; a context manager."""

    def __init__(self) -> None:
        self._lock: socket.socket | None = None
        self._free: deque[str] = deque()
        self.node_address = ""

    def __enter__(self) -> Self:
        self._lock, self.node_address = _first_free()
        network = ipaddress.ip_network(f"{self.node_address}/16", strict=False)
        hosts = network.hosts()
        next(hosts)
        self._free = deque(str(address) for address in hosts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        self._lock.close()

    def take(self) -> str:
        """An address that no pod has; the one given back longest ago."""
        return self._free.popleft()

    def give_back(self, address: str) -> None:
        """The pod that had the address has gone."""
        self._free.append(address)


def _first_free() -> tuple[socket.socket, str]:
    for number in _NETWORKS:
        address = f"127.{number}.0.1"
        lock = socket.socket()
        try:
            # The operating system lets go of the address with the process, however it ends.
            lock.bind((address, _NODE_PORT))
            lock.listen(1)
        except OSError:
            lock.close()
        else:
            return lock, address
    raise NoNetwork(
        "the dev cluster found no free network between 127.66.0.0/16 and 127.125.0.0/16: it needs an "
        "operating system that answers on all of 127.0.0.0/8, as Linux does"
    )
