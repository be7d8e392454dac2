"""Connections to the public internet only. What a template or a marketer names must never reach the machines around us:
this one, a private network, a cloud's metadata service (OWASP, "Server-Side Request Forgery Prevention Cheat Sheet").

A name is looked up once, and the connection goes to the very address that was checked: a name server that answers
something else the second time (DNS rebinding) gains nothing. Every connection is checked, those after redirects too.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""RFC 6052 and RFC 8215: an IPv4 address in the last 32 bits."""
_COMPATIBLE = IPv6Network("::/96")
_SITE_LOCAL = IPv6Network("fec0::/10")


class NotPublic(httpcore.ConnectError):
    """The name stands for an address that is none of the public internet's."""


def is_public(text: str) -> bool:
    """Whether this numeric address can be reached from anywhere: no loopback, private, shared, link-local, multicast or
    reserved one (IANA's special-purpose registries), nor one that hides in an IPv6 address.
    """
    address = ip_address(text.partition("%")[0])
    hidden = _hidden(address)
    if hidden is not None:
        return is_public(str(hidden))
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _hidden(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if not isinstance(address, IPv6Address):
        return None
    if address in _SITE_LOCAL:  # long withdrawn (RFC 3879), and still no public one
        return IPv4Address(0)
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """A network backend for httpcore. Hosts in `trusted` (names or numbers, lower case) are the operator's own word and
    are not checked.
    """

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self._trusted = frozenset(trusted)
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises NotPublic when any address of `host` is not public, httpcore's errors for all else."""
        where = host if host.lower() in self._trusted else await self._public_address(host, port)
        return await self._network.connect_tcp(where, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise NotPublic("a socket of this machine is not public")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    async def _public_address(host: str, port: int) -> str:
        """One numeric address, if all are public: who mixes both kinds is up to something."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        addresses = [str(each[4][0]) for each in found]
        if not addresses or not all(is_public(each) for each in addresses):
            raise NotPublic(f"{host} is no address of the public internet")
        return addresses[0]
