"""The audio gap when a held call is taken back, on the wire between appliance and phones."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.system.capture import Capture
from tests.system.network import APPLIANCE, Host
from tests.system.secure_pair import Pair, phones, site
from tests.system.site import System

__all__ = ["phones", "site"]

GAP = 0.06
"""Seconds without audio that nobody notices; three packets."""


class Wire:
    """What passes a phone's interface from now on."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._file = folder / f"{host.name}.pcap"
        self._capture = Capture(host, self._file)
        self.came: list[float] = []
        """When audio came from the appliance."""
        self.sent: list[float] = []
        """When audio went to it."""
        self.accepted: list[float] = []
        """When the appliance accepted an offer of the phone's."""

    def end(self) -> None:
        """Stop and read what passed."""
        self._capture.end_after("udp.srcport >= 20000")
        fields = ("frame.time_epoch", "ip.src", "udp.length", "sip.Status-Code", "sip.CSeq.method")
        words = ["-T", "fields", *(word for field in fields for word in ("-e", field))]
        shown = subprocess.run(
            ["tshark", "-r", str(self._file), "-Y", "udp", *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        for line in shown.stdout.splitlines():
            at, source, length, status, method = line.split("\t")
            if not method and int(length) > 100:
                (self.came if source == APPLIANCE else self.sent).append(float(at))
            elif (source, status, method) == (APPLIANCE, "200", "INVITE"):
                self.accepted.append(float(at))


def longest_gap(times: list[float], begin: float, end: float) -> float:
    """Give the longest time between two packets, or between one and an end of the span."""
    inside = [begin, *(at for at in times if begin <= at <= end), end]
    return max(later - earlier for earlier, later in pairwise(inside))


@pytest.mark.parametrize(
    ("how", "suite"),
    [
        ("sendonly", ""),
        ("inactive", ""),
        ("0.0.0.0", ""),
        ("sendonly", "AES_CM_128_HMAC_SHA1_80"),
    ],
)
def test_no_gap_is_heard_when_a_held_call_goes_on(
    site: System, phones: Pair, tmp_path: Path, how: str, suite: str
) -> None:
    one, other = phones
    with ThreadPoolExecutor(2) as threads:
        answering = threads.submit(other.answer_call, suite)
        assert one.call("102", suite).status == 200
        answering.result()
        here, there = Wire(one.host, tmp_path), Wire(other.host, tmp_path)
        talking = threads.submit(other.talk, 2.8)
        one.talk(0.4)
        one.hold(how)
        one.talk(0.8)
        waited = site.waited("media") + site.waited("core")
        one.resume()
        one.talk(0.8)
        waited = site.waited("media") + site.waited("core") - waited
        talking.result()
        here.end()
        there.end()
        ending = threads.submit(other.let_go)
        one.hang_up()
        ending.result()
    resumed = here.accepted[-1]
    span = (resumed - 0.5, resumed + 0.6)
    # Who is held hears music, then the other; a phone of ours that was late is not the appliance.
    late = longest_gap(here.sent, resumed, span[1]) - 0.02
    heard = longest_gap(there.came, *span)
    assert heard <= GAP + max(late, 0) + waited
    late = longest_gap(there.sent, resumed, span[1]) - 0.02
    heard_back = longest_gap(here.came, resumed, span[1])
    assert heard_back <= GAP + max(late, 0) + waited
    print(f"{how}: {heard * 1000:.0f} ms and back {heard_back * 1000:.0f} ms")
