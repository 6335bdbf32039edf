"""What records say of calls over a bad line, with tshark as the judge of what the line did."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.rtp.e_model import NARROWBAND, speech_quality
from tests.system import bad_line
from tests.system.baresip import Baresip
from tests.system.desk import desk_phone
from tests.system.network import APPLIANCE, Host
from tests.system.site import System, site_in_outage
from tests.system.test_call_media import POLICIES, record_of
from tests.system.test_outage import hang_up
from tests.system.waiting import until

DELAY, JITTER, LOSS = 0.08, 0.01, 0.06
LEAST_JITTER = 0.004
"""The line alone makes 6.7 ms, a third of its range; phones that are busy make more."""
TALK = 1100
"""Packets each way: 22 s, four reports."""


class Stream(NamedTuple):
    """What tshark says of one RTP stream."""

    source: str
    packets: int
    loss: float
    jitter: float
    """Seconds, mean."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    with site_in_outage(tmp_path, 2, policies=POLICIES) as system:
        log = system.folder / "line.log"
        bad_line.lay(system.network.router, 1, log, DELAY, JITTER, LOSS)
        yield system


def listen(host: Host, folder: Path) -> Path:
    capture = folder / f"{host.name}.pcap"
    words = ["tcpdump", "-i", "eth0", "-U", "-w", str(capture), "udp and portrange 10000-64000"]
    host.start(*words, log=folder / "tcpdump.log")
    until(capture.exists, 5, "tcpdump listens")
    return capture


def streams(capture: Path) -> list[Stream]:
    """Let tshark analyse a capture."""
    shown = subprocess.run(
        ["tshark", "-r", str(capture), "-o", "rtp.heuristic_rtp:TRUE", "-q", "-z", "rtp,streams"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found = []
    for line in shown.splitlines():
        words = line.split()
        if "%)" in line and "0x" in line:
            lost = next(n for n, word in enumerate(words) if word.endswith("%)"))
            packets, missing = int(words[lost - 2]), int(words[lost - 1])
            # Then least, mean and largest distance, and the same of jitter.
            jitter = float(words[lost + 5]) / 1000
            source = next(word for word in words if word.count(".") == 3)
            found.append(Stream(source, packets, missing / (packets + missing), jitter))
    return found


def heard_from(capture: Path, source: str) -> Stream:
    return max(
        (one for one in streams(capture) if one.source == source), key=lambda one: one.packets
    )


def conversation(site: System, one: Baresip, other: Baresip) -> dict[str, Any]:
    """Let them talk and give the call as it is shown while it is up."""
    one.dial(f"sip:{other.name}@site.example")
    one.wait("CALL_ESTABLISHED", 15)

    def long_enough() -> dict[str, Any] | None:
        shown = site.holdfast("calls") or []
        counts = [((row.get("from_callee") or {}).get("packets") or 0) for row in shown]
        return dict(shown[0]) if counts and counts[0] > TALK * 0.9 else None

    return until(long_enough, 60, "a conversation", site.evidence, step=1.0)


def show(what: str, quality: dict[str, Any], judge: Stream) -> None:
    print(f"{what}: {quality}; tshark: {judge}")


@pytest.mark.parametrize("keys", ["", ";mediaenc=srtp-mand"], ids=["RTP", "SRTP"])
def test_the_record_says_what_the_line_did(site: System, keys: str) -> None:
    good, bad = desk_phone(site, 0, more=keys), desk_phone(site, 1, more=keys)
    at_good, at_bad = listen(good.host, site.folder), listen(bad.host, site.folder)
    live = conversation(site, good, bad)
    hang_up(good, bad)
    record: Any = record_of(site)
    to_good, to_bad = heard_from(at_good, APPLIANCE), heard_from(at_bad, APPLIANCE)
    for leg, judge in (("from_callee", to_good), ("from_caller", to_bad)):
        quality = record[leg]["quality"]
        show(leg, quality, judge)
        assert (quality["source"], quality["codec"]) == ("rtcp", "PCMU")
        assert quality["loss"] == pytest.approx(judge.loss, abs=0.02)
        assert 0.02 < quality["loss"] < 0.12 and quality["loss_max"] >= quality["loss"]
        assert LEAST_JITTER < quality["jitter"] < 2 * judge.jitter + 0.005
        assert 68_000 < quality["bitrate"] < 74_000
        assert live[leg]["quality"]["mos"] is not None
    far, near = (record[leg]["quality"]["delay"] for leg in ("from_callee", "from_caller"))
    # The line is late by more than it should where the machine is busy.
    assert 2 * DELAY < far < 2 * DELAY + 4 * JITTER + 0.2
    assert near < 0.05
    mouth_to_ear = (far + near) / 2 + 0.05
    for leg, judge in (("from_callee", to_good), ("from_caller", to_bad)):
        expected = speech_quality(NARROWBAND, 0, 25.1, judge.loss, mouth_to_ear)
        assert record[leg]["quality"]["mos"] == pytest.approx(expected, abs=0.2)
        assert record[leg]["quality"]["mos"] < 4.0


def test_without_rtcp_the_headers_tell(site: System) -> None:
    good, bad = desk_phone(site, 0), desk_phone(site, 1)
    for one in (good, bad):
        rule = "udp sport 10000-19999 udp sport & 1 == 1 drop"
        chain = f"chain out {{\ntype filter hook output priority 0\n{rule}\n}}"
        table = f"table inet mute {{\n{chain}\n}}\n"
        one.host.run("nft", "-f", "-", text=table)
    capture = listen(good.host, site.folder)
    conversation(site, good, bad)
    hang_up(good, bad)
    record: Any = record_of(site)
    quality, judge = record["from_callee"]["quality"], heard_from(capture, APPLIANCE)
    show("from_callee", quality, judge)
    assert (quality["source"], quality["codec"]) == ("headers", "PCMU")
    assert quality["loss"] == pytest.approx(judge.loss, abs=0.03)
    # Of 1,022 packets the kernel shows 16: their mean is below 4 ms in one call of 20, below
    # 1.5 ms in one of 60,000.
    assert 0.0015 < quality["jitter"] < 2 * judge.jitter + 0.005
    assert quality["mos"] is not None and quality["mos"] < 4.3
    near = record["from_caller"]["quality"]
    assert (near["source"], near["loss"]) == ("headers", pytest.approx(0, abs=0.01))
    assert near["delay"] is None
