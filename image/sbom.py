"""What is inside, as a CycloneDX 1.5 list: Debian's packages and the locked Python packages."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from appliance import __version__
from image.commands import ROOT, stamp
from image.disk import NAMES
from image.root import extract
from image.sources import RELEASE

LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def write(folder: Path) -> Path:
    """Write `holdfast.cdx.json` from the root that lies in `folder`."""
    names = {"dpkg-status": "usr/lib/holdfast/sbom/dpkg-status"}
    status = extract(folder, names)["dpkg-status"].read_text()
    parts = [*debian(status), *python((ROOT / "requirements.txt").read_text())]
    listed = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMES, json.dumps(parts, sort_keys=True))}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(stamp(), UTC).isoformat(),
            "component": {
                "type": "operating-system",
                "name": "holdfast-appliance",
                "version": __version__,
            },
        },
        "components": parts,
    }
    file = folder / "holdfast.cdx.json"
    file.write_text(json.dumps(listed, indent=1) + "\n")
    return file


def debian(status: str) -> Iterator[dict[str, object]]:
    """Yield the installed packages of dpkg's status file."""
    for paragraph in status.split("\n\n"):
        pairs = (line.partition(": ") for line in paragraph.splitlines() if line[:1] != " ")
        fields = {name: value for name, _, value in pairs}
        if fields.get("Status", "").endswith(" installed") and fields["Package"] != "holdfast":
            name, version = fields["Package"], fields["Version"]
            where = f"arch={fields['Architecture']}&distro={RELEASE}"
            yield _part("deb/debian", name, version, where)


def python(lock: str) -> Iterator[dict[str, object]]:
    """Yield the packages of the lock file, each with the hashes it may have."""
    for block in re.split(r"\n(?=\S)", lock):
        found = LOCKED.match(block)
        if found:
            part = _part("pypi", found[1].lower(), found[2], "")
            hashes = [{"alg": "SHA-256", "content": value} for value in HASH.findall(block)]
            yield {**part, "hashes": hashes}


def _part(kind: str, name: str, version: str, more: str) -> dict[str, object]:
    purl = f"pkg:{kind}/{name}@{version}" + (f"?{more}" if more else "")
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
