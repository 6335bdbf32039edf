"""A class of traffic marks its sockets, all of them, for as long as they live."""

from __future__ import annotations

import gc
import socket

import pytest

from appliance.marking import TrafficClass


def mark_of(sock: socket.socket) -> int:
    if sock.family == socket.AF_INET6:
        return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) >> 2
    return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_socket_follows_its_class(family: int, kind: int) -> None:
    traffic = TrafficClass(24)
    with socket.socket(family, kind) as one, socket.socket(family, kind) as other:
        traffic.mark(one)
        assert (mark_of(one), mark_of(other)) == (24, 0)
        traffic.change(26)
        assert (mark_of(one), mark_of(other)) == (26, 0)
        traffic.mark(other)
        assert mark_of(other) == 26


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_what_a_listener_accepts_has_its_mark_and_follows(family: int, host: str) -> None:
    traffic = TrafficClass(16)
    with socket.create_server((host, 0), family=family) as listener:
        traffic.mark(listener)
        with socket.create_connection(listener.getsockname()[:2]):
            accepted, _ = listener.accept()
            with accepted:
                assert mark_of(accepted) == 16
                traffic.follow(accepted)
                traffic.change(46)
                assert mark_of(accepted) == 46


def test_closed_and_forgotten_sockets_are_no_trouble() -> None:
    traffic = TrafficClass(46)
    closed = socket.socket()
    traffic.mark(closed)
    closed.close()
    traffic.mark(socket.socket())
    gc.collect()
    traffic.change(34)
    assert len(traffic) == 1
    with socket.socket(socket.AF_UNIX) as pair:
        traffic.mark(pair)
