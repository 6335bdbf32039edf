"""The files of this machine: its plan, its seed, its keys; and the programs that carry them out.

/etc/holdfast/network.json     the plan that is kept
/run/systemd/network           what networkd reads, made from it at each start
/run/holdfast-setup            the state of set-up: problems of the seed, a plan being tried
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from appliance.console.plan import NetworkPlan, checked, read_plan, rendered
from appliance.console.seed import LIMIT, Seed, read_seed
from appliance.errors import HoldfastError, LocalError
from appliance.files import write_durably
from appliance.settings import load_settings

UNDO = 120
"""Seconds in which a change of the network must be confirmed."""
UNDO_UNIT = "holdfast-undo"
LABELS = ("cidata", "CIDATA")
"""Volume labels of a NoCloud seed."""
COMMAND_TIMEOUT = 30.0
"""Seconds a program of the system may take."""


class Machine:
    """This machine, under a root folder (`/`, or a test's own)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self.config = root / "etc/holdfast"
        self.state = root / "run/holdfast-setup"

    # -- the network ------------------------------------------------------------------------------

    def plan(self) -> NetworkPlan:
        """Return the plan that is kept; DHCP where there is none. Raises LocalError."""
        file = self.config / "network.json"
        try:
            return read_plan(file.read_bytes())
        except FileNotFoundError:
            return NetworkPlan()
        except OSError as error:
            raise LocalError(f"{file}: {error.strerror}") from error

    def apply(self) -> list[str]:
        """Set everything up at a start: the seed, once, then the plan; returns what went wrong."""
        problems = []
        try:
            problems += self._sow()
        except HoldfastError as error:
            problems.append(f"seed: {error}")
        try:
            plan = self.plan()
        except LocalError as error:
            problems.append(f"{error}; DHCP is used instead")
            plan = NetworkPlan()
        self._write_network(plan)
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "problems").write_text("".join(f"{line}\n" for line in problems))
        return problems

    def try_plan(self, plan: NetworkPlan) -> None:
        """Use a plan now, and take it back in two minutes unless `keep` is called; LocalError.

        The clock that takes it back is systemd's: it runs though this session has lost its way.
        """
        checked(plan)
        with suppress(LocalError):
            self._run("systemctl", "stop", f"{UNDO_UNIT}.timer")
        words = [f"--on-active={UNDO}", f"--unit={UNDO_UNIT}", "--collect", "--quiet"]
        self._run("systemd-run", *words, "/usr/bin/holdfast", "machine", "apply", "--reload")
        self._write_network(plan)
        self.reload()

    def keep(self, plan: NetworkPlan) -> None:
        """Keep a plan for good; raises Unavailable where the disk does not take it."""
        write_durably(self.config / "network.json", _pretty(plan), 0o644)
        with suppress(LocalError):
            self._run("systemctl", "stop", f"{UNDO_UNIT}.timer")

    def undo(self) -> None:
        """Go back to the plan that is kept, now."""
        with suppress(LocalError):
            self._run("systemctl", "stop", f"{UNDO_UNIT}.timer")
        self._write_network(self.plan())
        self.reload()

    def reload(self) -> None:
        """Have networkd do what its files say now; raises LocalError."""
        self._run("networkctl", "reload")
        for card in self.cards():
            self._run("networkctl", "reconfigure", card)

    def cards(self) -> list[str]:
        """Return the names of the network cards, the first one first."""
        folder = self._root / "sys/class/net"
        return sorted(card.name for card in folder.glob("*") if (card / "device").exists())

    def carriers(self) -> dict[str, bool]:
        """Tell for each card whether its cable has a signal."""
        found = {}
        for card in self.cards():
            try:
                text = (self._root / "sys/class/net" / card / "carrier").read_text()
            except OSError:  # A card that is switched off has none to read.
                text = "0"
            found[card] = text.strip() == "1"
        return found

    def _write_network(self, plan: NetworkPlan) -> None:
        folder = self._root / "run/systemd/network"
        folder.mkdir(parents=True, exist_ok=True)
        files = rendered(plan, next(iter(self.cards()), ""))
        for old in folder.iterdir():
            if old.name not in files:
                old.unlink()
        for name, content in files.items():
            (folder / name).write_text(content)
        if self._root == Path("/"):
            with suppress(OSError):
                socket.sethostname(plan.hostname)

    # -- the seed ---------------------------------------------------------------------------------

    def _sow(self) -> list[str]:
        """Apply the seed of a disk that is there, if it has not been applied; returns problems."""
        device = next((path for label in LABELS if (path := self._label(label)).exists()), None)
        if device is None:
            return []
        place = self.state / "seed"
        place.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-o", "ro,nosuid,nodev,noexec", str(device), str(place))
        try:
            seed = read_folder(place)
        finally:
            self._run("umount", str(place))
        return self.sow(seed)

    def sow(self, seed: Seed) -> list[str]:
        """Take over what a seed asks for, once for each instance; returns what went wrong."""
        mark = self.config / "instance"
        if mark.exists() and mark.read_text() == seed.instance:
            return []
        problems = list(seed.problems)
        if seed.network is not None:
            write_durably(self.config / "network.json", _pretty(seed.network), 0o644)
        if seed.keys:
            self.write_keys(seed.keys)
        if seed.cloud_ca:
            write_durably(self.config / "cloud-ca.pem", seed.cloud_ca.encode(), 0o644)
        problems += self._settle(seed)
        write_durably(mark, seed.instance.encode(), 0o644)
        return problems

    def _settle(self, seed: Seed) -> list[str]:
        """Write settings and bundle, each only when it is good: a bad one must not stop a start."""
        problems = []
        given = dict(seed.settings)
        if seed.cloud_ca:
            given.setdefault("cloud_ca", "/etc/holdfast/cloud-ca.pem")
        if given:
            lines = [f"{key} = {json.dumps(value)}\n" for key, value in given.items()]
            wanted = self.state / "settings.toml"
            wanted.write_text("".join(lines))
            try:
                load_settings(wanted, {})
                write_durably(self.config / "holdfast.toml", wanted.read_bytes(), 0o640)
                self._own(self.config / "holdfast.toml")
            except HoldfastError as error:
                problems.append(str(error))
        if seed.bundle is not None:
            problems += self._take_bundle(json.dumps(seed.bundle).encode())
        return problems

    def _take_bundle(self, content: bytes) -> list[str]:
        try:
            # Half of the time of a set-up, which every start waits for and few starts need.
            import_module("appliance.bundle").decode(content)
        except HoldfastError as error:
            return [f"bundle: {error}"]
        file = self._root / "var/lib/holdfast/bundle.json"
        write_durably(file, content, 0o600)
        self._own(file)
        return []

    def write_keys(self, keys: Sequence[str]) -> None:
        """Let these public keys open the console by SSH, and no others."""
        text = "".join(f"{key.strip()}\n" for key in keys if "\n" not in key.strip())
        write_durably(self._root / "data/ssh/authorized_keys", text.encode(), 0o600)

    def _own(self, file: Path) -> None:
        with suppress(LookupError, PermissionError):
            shutil.chown(file, "holdfast", "holdfast")
            if file.parent.name == "holdfast" and file.parent.parent.name == "lib":
                shutil.chown(file.parent, "holdfast", "holdfast")

    def _label(self, label: str) -> Path:
        return self._root / "dev/disk/by-label" / label

    # -- the whole machine ------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Return what went wrong at the last set-up."""
        try:
            return (self.state / "problems").read_text().splitlines()
        except OSError:
            return []

    def reset(self) -> None:
        """Forget everything at the next start, and start again; raises LocalError."""
        write_durably(self._root / "data/.reset", b"", 0o600)
        self.restart()

    def restart(self) -> None:
        """Start again."""
        self._run("systemctl", "--no-block", "reboot")

    def power_off(self) -> None:
        """Switch off."""
        self._run("systemctl", "--no-block", "poweroff")

    def ping(self, target: str) -> str:
        """Send three echo requests and return what ping says; raises LocalError."""
        if target.startswith("-"):
            raise LocalError("name a host or an address")
        return self._run("ping", "-c", "3", "-W", "2", "--", target, check=False)

    def _run(self, *words: str, check: bool = True) -> str:
        environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, env=environment
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError(f"{words[0]}: {error}") from error
        if check and done.returncode:
            raise LocalError(f"{words[0]}: {(done.stderr or done.stdout).strip()[:500]}")
        return done.stdout + done.stderr


def read_folder(folder: Path) -> Seed:
    """Return the seed in a folder; raises LocalError that names the file that cannot be read."""
    return read_seed(
        *(_parsed(folder / name) for name in ("user-data", "meta-data", "network-config"))
    )


def _parsed(file: Path) -> Any:
    try:
        with file.open("rb") as content:
            data = content.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalError(f"{file.name}: {error.strerror}") from error
    if len(data) > LIMIT:
        raise LocalError(f"{file.name}: larger than {LIMIT >> 20} MiB")
    try:
        return msgspec.yaml.decode(data)
    except ImportError:
        return _json(file.name, data)
    except (msgspec.DecodeError, ValueError) as error:
        raise LocalError(f"{file.name} is not YAML: {error}") from error


def _json(name: str, data: bytes) -> Any:
    """Read what is YAML and JSON both; for machines without a YAML library."""
    lines = [line for line in data.splitlines() if not line.startswith(b"#")]
    try:
        return msgspec.json.decode(b"\n".join(lines)) if lines else None
    except msgspec.DecodeError as error:
        text = f"{name}: there is no YAML library here (python3-yaml), and it is not JSON: {error}"
        raise LocalError(text) from error


def _pretty(plan: NetworkPlan) -> bytes:
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"
