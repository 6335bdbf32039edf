"""Which tests can run here, and one line about those that cannot."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

SYSTEM = Path(__file__).parent / "system"
OURS = (
    *("HOLDFAST_FUZZ_SECONDS", "HOLDFAST_SIMULATED_HOURS"),
    "HOLDFAST_SPRAY_SECONDS",
    *("HOLDFAST_POWER_CUTS", "HOLDFAST_POWER_LOOKS", "HOLDFAST_POWER_SEED"),
)
"""What the Makefile tells the tests."""
CLONE_NEWNET = 0x40000000
PROGRAMS = (
    "ip",
    "nft",
    "sysctl",
    "baresip",
    "dnsmasq",
    "gcc",
    "kamailio",
    "ldapsearch",
    "linphone-daemon",
    "sipp",
    "slapd",
    "systemd-analyze",
    "tcpdump",
    "tshark",
)


def pytest_configure() -> None:
    """Let no setting of the machine's owner reach the tests, nor the processes they start."""
    # The same examples each time, so that a run tells of the code; `make fuzz` looks for new ones.
    settings.register_profile("repeatable", derandomize="HOLDFAST_FUZZ_SECONDS" not in os.environ)
    settings.load_profile("repeatable")
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        if name not in OURS:
            del os.environ[name]
    # Outside a namespace of their own, tests leave the machine's packet filter alone.
    os.environ["HOLDFAST_MEDIA_KERNEL"] = "off"


def pytest_sessionstart() -> None:
    """Give a worker that runs beside others a network of its own: they bind the same ports."""
    if "PYTEST_XDIST_WORKER" in os.environ and os.geteuid() == 0:
        own_network()


def own_network() -> None:
    """Leave the machine's network for one that has a loopback, and a card that leads nowhere."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network of its own for this worker")
    for line in (
        "link set lo up",
        "link add eth0 type veth peer name wire",
        "address add 198.51.100.1/24 dev eth0",
        "link set wire up",
        "link set eth0 up",
    ):
        subprocess.run(["ip", *line.split()], check=True)


def obstacle() -> str:
    """Say why namespaces with real phones are not possible here; nothing if they are."""
    if os.geteuid() != 0:
        return "they need root: network namespaces"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"these programs are missing: {', '.join(missing)}" if missing else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of `tests/system` where they cannot run."""
    why = obstacle()
    left_out = [item for item in items if why and SYSTEM in item.path.parents]
    config.stash[LEFT_OUT] = (len(left_out), why)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was left out."""
    count, why = config.stash.get(LEFT_OUT, (0, ""))
    if count:
        terminalreporter.write_line(f"left out: {count} tests of tests/system, because {why}")


LEFT_OUT = pytest.StashKey[tuple[int, str]]()
