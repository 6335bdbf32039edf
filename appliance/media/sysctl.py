"""Kernel settings that forwarding needs: changed at start, put back at the end.

What they were is written to a file before they change, so that a later life of this process puts
back what was before the first one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path("/proc/sys/net")
FORWARD_4: Final = "ipv4/ip_forward"
FORWARD_6: Final = "ipv6/conf/all/forwarding"
Log = Callable[[str], None]


class Sysctls:
    """The kernel settings that are ours while the kernel relays."""

    def __init__(self, file: Path, log: Log) -> None:
        """Remember former values in `file`."""
        self._file = file
        self._log = log
        self._before: dict[str, str] = self._read_file()

    @property
    def closed(self) -> list[int]:
        """IP versions that were not forwarded before us: there only our packets may pass."""
        names = {4: FORWARD_4, 6: FORWARD_6}
        return [version for version, name in names.items() if name in self._before]

    def apply(self) -> None:
        """Set all that can be set; where something cannot, say so once."""
        wrong = []
        for name, value in _wanted():
            try:
                self._set(name, value)
            except OSError as error:
                wrong.append(f"{name.replace('/', '.')} ({error.strerror})")
        if wrong:
            self._log(f"kernel settings that cannot be changed: {', '.join(wrong[:4])}")

    def restore(self) -> None:
        """Put back what we changed, where nobody has changed it since."""
        changed = dict(_wanted())
        # Forwarding first: switching it resets others.
        for name in sorted(self._before, key=lambda name: name not in (FORWARD_4, FORWARD_6)):
            ours = changed.get(name)
            with suppress(OSError):
                if ours is None or _read(name) == ours or name in _RESET:
                    _write(name, self._before[name])
        self._before.clear()
        self._file.unlink(missing_ok=True)

    def _set(self, name: str, value: str) -> None:
        before = _read(name)
        if before == value:
            return
        aside = {other: _read(other) for other in _RESET if name == _RESET[other] and _has(other)}
        for other, old in {name: before, **aside}.items():
            self._before.setdefault(other, old)
        self._write_file()
        try:
            _write(name, value)
        except OSError:
            self._before.pop(name)
            raise
        for other, old in aside.items():
            _write(other, old)

    def _read_file(self) -> dict[str, str]:
        """Return former values that are of this boot and this network namespace."""
        try:
            held = json.loads(self._file.read_text())
            if held["where"] == _where():
                return {str(name): str(value) for name, value in held["before"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return {}

    def _write_file(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps({"where": _where(), "before": self._before}))
        partial.replace(self._file)


def forwards(version: int) -> bool:
    """Tell whether the kernel forwards packets of this IP version."""
    try:
        return _read(FORWARD_4 if version == 4 else FORWARD_6) != "0"
    except OSError:
        return False


_RESET: Final = {"ipv4/conf/all/accept_redirects": FORWARD_4}
"""What the kernel sets anew when another setting changes."""


def _wanted() -> Iterator[tuple[str, str]]:
    """Yield what must be how, in the order in which it must become so."""
    # A router hears no router advertisements unless told to: an appliance with such an address
    # would lose its default route.
    for name in _each("ipv6", "accept_ra"):
        with suppress(OSError):
            if _read(name) != "0":
                yield name, "2"
    # A call between two phones on one network comes in and goes out by the same interface. The
    # kernel sends redirects where either the interface or `all` says so.
    for name in _each("ipv4", "send_redirects"):
        yield name, "0"
    yield FORWARD_4, "1"
    if _has(FORWARD_6):
        yield FORWARD_6, "1"


def _each(family: str, key: str) -> list[str]:
    places = sorted((ROOT / family / "conf").glob(f"*/{key}"))
    return [str(place.relative_to(ROOT)) for place in places]


def _has(name: str) -> bool:
    return (ROOT / name).exists()


def _read(name: str) -> str:
    return (ROOT / name).read_text().strip()


def _write(name: str, value: str) -> None:
    (ROOT / name).write_text(value)


def _where() -> str:
    namespace = os.readlink("/proc/self/ns/net")
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + namespace
