"""Makes slapd's database from a bundle, in a process of its own: it takes seconds and memory.

python -m appliance.adapters.ldap.build BUNDLE FOLDER
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from appliance.adapters.tls import ensure_certificate
from appliance.bundle import Bundle, decode
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.files import write_durably
from appliance.phonebook.entry import Entry, digest_of, entries_of
from appliance.phonebook.ldif import ldif
from appliance.phonebook.slapd_settings import slapd_settings

FORM = 1
"""Of entries and settings; another one is built anew."""
SETTINGS = "slapd.conf"
"""Written last: a folder that has it is whole."""
MODULES = (Path("/usr/lib/ldap"), Path("/usr/lib64/openldap"))
COMPLAINT_LIMIT = 1000
"""Characters shown of what slapadd says."""
TIMEOUT = 900.0
"""Seconds; 60,000 entries take ten."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a bundle."""

    folder: str
    """Of a database that is whole; empty: the bundle lets nobody read the directory over LDAP."""
    require_tls: bool = False
    entries: int = 0


def program(name: str) -> str | None:
    """Return where a program of slapd's package is; it is no program for everybody's path."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/libexec/openldap"])
    return shutil.which(name, path=path)


def build(bundle: Bundle, place: Path) -> Built:
    """Make the database of a bundle in a folder in `place`, if it is not there yet.

    Raises LocalError or Unavailable when it cannot be made; what was there before stays.
    """
    if not bundle.ldap.anonymous and not bundle.ldap.accounts:
        return Built(folder="")
    entries = entries_of(bundle)
    about = (FORM, digest_of(entries), bundle.ldap, bundle.site.domain, bundle.site.name)
    digest = hashlib.sha256(msgspec.json.encode(about)).hexdigest()[:20]
    folder = place / digest
    if not (folder / SETTINGS).exists():
        _make(bundle, entries, place, folder)
    return Built(folder=str(folder), require_tls=bundle.ldap.require_tls, entries=len(entries))


def _make(bundle: Bundle, entries: list[Entry], place: Path, folder: Path) -> None:
    modules = next((path for path in MODULES if path.is_dir()), None)
    slapadd = program("slapadd")
    if modules is None or slapadd is None:
        raise LocalError("slapd is not installed, so phones have no directory over LDAP")
    certificate, key = ensure_certificate(place, ["localhost"])
    beside = place / f"{folder.name}.new"
    for old in (beside, folder):
        shutil.rmtree(old, ignore_errors=True)
    try:
        (beside / "database").mkdir(parents=True, mode=0o700)
        filling = beside / "filling.conf"
        filling.write_text(slapd_settings(bundle, beside, certificate, key, modules, False))
        _fill([slapadd, "-q", "-f", str(filling)], ldif(bundle, entries))
        _sync(beside / "database" / "data.mdb")
        final = slapd_settings(bundle, folder, certificate, key, modules, True)
        write_durably(beside / SETTINGS, final.encode())
        beside.rename(folder)
    except OSError as error:
        raise Unavailable(f"{beside} cannot be written: {error.strerror}") from error


def _fill(command: list[str], records: Iterable[str]) -> None:
    """Let slapadd take the records; raises Unavailable with what it says when it does not."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        try:
            complaint = child.communicate("".join(records).encode(), TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            child.kill()
            raise Unavailable(f"slapadd took more than {TIMEOUT:.0f} s") from None
    if child.returncode:
        text = complaint.decode(errors="replace").strip()[-COMPLAINT_LIMIT:]
        raise Unavailable(f"slapadd: {text or f'status {child.returncode}'}")


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Build what is asked for and say in JSON what came of it; complaints go to standard error."""
    try:
        built = build(decode(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
    except (OSError, HoldfastError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(built))
    return 0


if __name__ == "__main__":
    sys.exit(main())
