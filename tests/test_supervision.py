"""What systemd is told, and what it hands over."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.supervision import (
    given_sockets,
    leave_with_systemd,
    tell_systemd,
    watchdog_interval,
)

ROOT = Path(__file__).parent.parent


def test_systemd_is_told_by_one_datagram_and_its_absence_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    tell_systemd("READY=1", {})
    tell_systemd("READY=1", {"NOTIFY_SOCKET": str(path)})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        tell_systemd("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert systemd.recv(100) == b"READY=1"


def test_descriptors_left_with_systemd_take_the_place_of_those_before(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    environment = {"NOTIFY_SOCKET": str(path)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        leave_with_systemd("ways", [systemd.fileno()], environment)
        assert systemd.recv(100) == b"FDSTOREREMOVE=1\nFDNAME=ways"
        message, descriptors, _, _ = socket.recv_fds(systemd, 100, 2)
        assert message == b"FDSTORE=1\nFDNAME=ways\nFDPOLL=0"
        assert [os.path.sameopenfile(systemd.fileno(), one) for one in descriptors] == [True]
        os.close(descriptors[0])
        leave_with_systemd("ways", [], environment)
        assert systemd.recv(100) == b"FDSTOREREMOVE=1\nFDNAME=ways"
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


LEFT = """
import os
from appliance.supervision import left_with_systemd
for number in (3, 4, 5):
    os.dup2(0, number)
told = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3", "LISTEN_FDNAMES": "slots:ways:ways"}
others = {**told, "LISTEN_PID": "1"}
print(left_with_systemd(others), left_with_systemd(told), left_with_systemd(told))
"""


def test_what_was_left_is_handed_over_once_and_to_whom_it_is_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "{} {'slots': [3], 'ways': [4, 5]} {}\n"


def test_the_watchdog_is_fed_twice_as_often_as_it_bites() -> None:
    assert watchdog_interval({"WATCHDOG_USEC": "20000000"}) == 10.0
    assert watchdog_interval({}) is None


def test_sockets_for_another_process_are_not_taken() -> None:
    assert given_sockets({}) == []
    assert given_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}) == []
    assert given_sockets({"LISTEN_FDS": "many", "LISTEN_PID": "1"}) == []


def test_a_socket_that_systemd_opened_is_served() -> None:
    """As systemd does it: the listener is descriptor 3 of the process it names."""
    code = (
        "import os; from appliance.supervision import given_sockets;"
        "os.environ['LISTEN_PID'] = str(os.getpid());"
        "(one,) = given_sockets(); print(one.accept()[0].recv(9).decode(), os.get_inheritable(3))"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        served = subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(ROOT), "LISTEN_FDS": "1"},
            pass_fds=[3],
            preexec_fn=lambda: os.dup2(number, 3),
            stdout=subprocess.PIPE,
        )
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(b"hello")
        assert served.communicate(timeout=20)[0] == b"hello False\n"
