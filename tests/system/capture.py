"""What tshark reads of the packets that reach a host."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

from tests.system.network import APPLIANCE, APPLIANCE_6, Host
from tests.system.waiting import until

FROM_US = f"(ip.src == {APPLIANCE} || ipv6.src == {APPLIANCE_6})"
FIELDS = ("ip.dsfield.dscp", "ipv6.tclass.dscp")


class Capture:
    """Packets on a host's interface from now on."""

    def __init__(self, host: Host, file: Path, interface: str = "eth0") -> None:
        self.file = file
        log = file.with_suffix(".log")
        self._process = host.start(
            "tcpdump", "-i", interface, "-U", "--immediate-mode", "-w", str(file), log=log
        )
        until(lambda: file.exists() and "listening" in log.read_text(), 5, "tcpdump listens")

    def end_after(self, *chosen: str) -> None:
        """Stop once there are packets that each of these display filters chooses.

        The kernel hands packets over a little after they came.
        """
        for one in chosen:
            until(partial(self.marks, one), 20, one)
        self._process.terminate()
        self._process.wait(5)

    def marks(self, chosen: str) -> set[str]:
        """Give the DSCP values of the packets from the appliance that a display filter chooses."""
        fields = [word for field in FIELDS for word in ("-e", field)]
        wanted = f"{FROM_US} && ({chosen})"
        shown = subprocess.run(
            ["tshark", "-r", str(self.file), "-Y", wanted, "-T", "fields", *fields],
            capture_output=True,
            text=True,
            timeout=60,
        )
        # A capture that still goes on may end within a packet, which is no failure.
        assert "unexpected" not in shown.stderr and "Invalid" not in shown.stderr, shown.stderr
        return set(shown.stdout.split())
