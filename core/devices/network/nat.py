"""A network behind the host's own, by libslirp (Debian's libslirp0), the library that QEMU's `-netdev user` has.

    10.0.2.2     the host: a connection to it reaches a service on the host's loopback
    10.0.2.3     the name server: what is asked goes to the host's
    10.0.2.15    the guest, by DHCP; or whatever else it calls itself in 10.0.2.0/24
    elsewhere    carried by sockets of this process; no privilege is needed

Other hosts cannot reach the guest but by forwarded ports. Source: libslirp.h of libslirp 4.7; any 4.x serves.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint32,
    c_void_p,
    string_at,
)
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from ...errors import ConfigError
from ..device import State
from ..virtio.net import MAX_FRAME, MIN_FRAME
from .socket_peer import Address, show

LIBRARY: Final = "libslirp.so.0"
PACKAGE: Final = "libslirp0"

NETWORK, MASK = "10.0.2.0", "255.255.255.0"
HOST, NAME_SERVER, GUEST = "10.0.2.2", "10.0.2.3", "10.0.2.15"

CONFIG_VERSION: Final = 1
POLL_IN, POLL_OUT, POLL_PRI, POLL_ERR, POLL_HUP = 1, 2, 4, 8, 16
TO_HOST: Final = {POLL_IN: select.POLLIN, POLL_OUT: select.POLLOUT, POLL_PRI: select.POLLPRI, POLL_ERR: select.POLLERR,
                  POLL_HUP: select.POLLHUP}
MAX_FRAMES: Final = 1024
"""Frames that wait for the guest; those beyond are lost, as in a switch, and TCP sends them again."""


@dataclass(frozen=True)
class Forward:
    """A port of the host's whose connections, or datagrams, go to a port of the guest's."""

    is_udp: bool
    host: Address
    guest: Address


class _Address(Structure):
    """struct in_addr."""

    _fields_ = (("s_addr", c_uint32),)

    @classmethod
    def of(cls, text: str) -> _Address:
        return cls(int.from_bytes(socket.inet_aton(text), "little"))


class _Config(Structure):
    """struct SlirpConfig, up to version 1."""

    _fields_ = (
        ("version", c_uint32), ("restricted", c_int), ("in_enabled", c_bool), ("vnetwork", _Address),
        ("vnetmask", _Address), ("vhost", _Address), ("in6_enabled", c_bool), ("vprefix_addr6", c_uint8 * 16),
        ("vprefix_len", c_uint8), ("vhost6", c_uint8 * 16), ("vhostname", c_char_p), ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p), ("bootfile", c_char_p), ("vdhcp_start", _Address), ("vnameserver", _Address),
        ("vnameserver6", c_uint8 * 16), ("vdnssearch", c_void_p), ("vdomainname", c_char_p), ("if_mtu", c_size_t),
        ("if_mru", c_size_t), ("disable_host_loopback", c_bool), ("enable_emu", c_bool))


_Send = CFUNCTYPE(c_ssize_t, c_void_p, c_size_t, c_void_p)
_Tell = CFUNCTYPE(None, c_char_p, c_void_p)
_Clock = CFUNCTYPE(c_int64, c_void_p)
_TimerNew = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
_TimerFree = CFUNCTYPE(None, c_void_p, c_void_p)
_TimerMod = CFUNCTYPE(None, c_void_p, c_int64, c_void_p)
_Register = CFUNCTYPE(None, c_int, c_void_p)
_Notify = CFUNCTYPE(None, c_void_p)
_AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
_GetEvents = CFUNCTYPE(c_int, c_int, c_void_p)


class _Callbacks(Structure):
    """struct SlirpCb, up to version 1. Its timers are IPv6's alone, which is off: they are never made."""

    _fields_ = (("send_packet", _Send), ("guest_error", _Tell), ("clock_get_ns", _Clock), ("timer_new", _TimerNew),
                ("timer_free", _TimerFree), ("timer_mod", _TimerMod), ("register_poll_fd", _Register),
                ("unregister_poll_fd", _Register), ("notify", _Notify))


@cache
def _library() -> Any:
    """libslirp, with its functions' types. Raises ConfigError where it is not installed."""
    try:
        slirp = ctypes.CDLL(LIBRARY)
    except OSError:
        raise ConfigError(f"a network by NAT needs {LIBRARY}: apt install {PACKAGE}") from None
    slirp.slirp_new.restype = c_void_p
    slirp.slirp_new.argtypes = (POINTER(_Config), POINTER(_Callbacks), c_void_p)
    slirp.slirp_cleanup.argtypes = (c_void_p,)
    slirp.slirp_input.argtypes = (c_void_p, c_char_p, c_int)
    slirp.slirp_pollfds_fill.argtypes = (c_void_p, POINTER(c_uint32), _AddPoll, c_void_p)
    slirp.slirp_pollfds_poll.argtypes = (c_void_p, c_int, _GetEvents, c_void_p)
    slirp.slirp_add_hostfwd.argtypes = (c_void_p, c_int, _Address, c_int, _Address, c_int)
    return slirp


class NatPeer:
    """The network, as the peer of one card. It lives in real time: what it sends enters a run by the log of inputs.

    forwards: ports of the host's that lead to the guest. Raises ConfigError without libslirp, or for a port that cannot
    be had.
    """

    is_live = True

    def __init__(self, forwards: Sequence[Forward] = ()) -> None:
        self._library = _library()
        self._frames: deque[bytes] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._asked: list[tuple[int, int]] = []
        self._happened: dict[int, int] = {}
        # libslirp keeps pointers to these: they live as long as it does.
        self._callbacks = _Callbacks(
            _Send(self._take), _Tell(_ignore), _Clock(_monotonic), _TimerNew(), _TimerFree(), _TimerMod(),
            _Register(_ignore), _Register(_ignore), _Notify(_ignore))
        self._config = _Config(
            version=CONFIG_VERSION, in_enabled=True, vnetwork=_Address.of(NETWORK),
            vnetmask=_Address.of(MASK), vhost=_Address.of(HOST), vdhcp_start=_Address.of(GUEST),
            vnameserver=_Address.of(NAME_SERVER), vhostname=b"hartvisor")
        self._add_poll, self._get_events = _AddPoll(self._note_asked), _GetEvents(self._tell_happened)
        self._slirp: int | None = self._library.slirp_new(byref(self._config), byref(self._callbacks), None)
        if self._slirp is None:
            raise ConfigError("libslirp makes no network")
        for forward in forwards:
            self._forward(forward)

    def _forward(self, forward: Forward) -> None:
        try:
            host, guest = (_Address.of(socket.gethostbyname(each[0])) for each in (forward.host, forward.guest))
        except OSError as error:
            self.close()
            raise ConfigError(f"{show(forward.host)}-{show(forward.guest)}: {error.strerror}") from None
        if self._library.slirp_add_hostfwd(self._slirp, forward.is_udp, host, forward.host[1], guest,
                                           forward.guest[1]) < 0:
            self.close()
            raise ConfigError(f"{show(forward.host)}: the port cannot be had; another program may listen there")

    # --- what libslirp calls

    def _take(self, buffer: int, length: int, _: int | None) -> int:
        """A frame for the guest."""
        if MIN_FRAME <= length <= MAX_FRAME and len(self._frames) < MAX_FRAMES:
            if not self._frames:
                os.eventfd_write(self._ready, 1)
            self._frames.append(string_at(buffer, length))
        return length

    def _note_asked(self, descriptor: int, events: int, _: int | None) -> int:
        self._asked.append((descriptor, events))
        return len(self._asked) - 1

    def _tell_happened(self, index: int, _: int | None) -> int:
        descriptor, events = self._asked[index]
        happened = self._happened.get(descriptor, 0)
        return sum(ours for ours, theirs in TO_HOST.items()
                   if happened & theirs and (events & ours or ours in (POLL_ERR, POLL_HUP)))

    # --- a peer outside

    def answer(self, frame: bytes) -> tuple[()]:
        """The guest sends; what comes of it comes in its own time."""
        if self._slirp is not None:
            self._library.slirp_input(self._slirp, frame, len(frame))
        return ()

    def _ask(self) -> list[tuple[int, int]]:
        """What libslirp waits for: descriptors, and events of each."""
        self._asked.clear()
        if self._slirp is not None:
            self._library.slirp_pollfds_fill(self._slirp, byref(c_uint32(0)), self._add_poll, None)
        return self._asked

    def take_in(self, limit: int) -> list[bytes]:
        """The frames that have come. While more wait than the guest takes, nothing is read from the host's sockets."""
        if self._slirp is not None and len(self._frames) < limit:
            poll = select.poll()
            for descriptor, events in self._ask():
                poll.register(descriptor, sum(theirs for ours, theirs in TO_HOST.items() if events & ours))
            self._happened = dict(poll.poll(0))
            self._library.slirp_pollfds_poll(self._slirp, 0, self._get_events, None)
        taken = [self._frames.popleft() for _ in range(min(limit, len(self._frames)))]
        if not self._frames:
            with suppress(BlockingIOError):
                os.eventfd_read(self._ready)
        return taken

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Its sockets, and a descriptor that can be read while frames wait."""
        asked = self._ask()
        return ([self._ready, *(descriptor for descriptor, events in asked if events & (POLL_IN | POLL_PRI))],
                [descriptor for descriptor, events in asked if events & POLL_OUT])

    # --- the peer's own

    def save(self) -> State:
        """It is outside."""
        return {}

    def restore(self, state: State) -> None:
        """It is outside."""

    def close(self) -> None:
        """Its connections end."""
        if self._slirp is not None:
            self._library.slirp_cleanup(self._slirp)
            self._slirp = None
            os.close(self._ready)


def _ignore(*_: object) -> None:
    """A guest that sends nonsense gets no answer; every descriptor is polled anew each time."""


def _monotonic(_: int | None) -> int:
    return time.monotonic_ns()
