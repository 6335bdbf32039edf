"""The package brings the man page and what bash completes with, whoever builds it and when."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

from appliance.cli.command import FAMILIES
from image.commands import ROOT
from image.deb import COMPLETION, MANUAL, write_documents


def test_man_page_and_completion_are_written_as_the_commands_print_them(tmp_path: Path) -> None:
    write_documents(tmp_path)
    packed = (tmp_path / MANUAL).read_bytes()
    assert packed[4:8] == bytes(4), "it would have the time of the build"
    page = gzip.decompress(packed).decode()
    assert str(Path.home()) not in page
    assert page.startswith(".TH HOLDFAST 1")
    assert all(f".B holdfast {name}" in page for name in FAMILIES)
    snippet = (ROOT / "image/files/etc/profile.d/holdfast.sh").read_text()
    assert f"/{COMPLETION}" in snippet
    sourced = snippet.replace(f"/{COMPLETION}", str(tmp_path / COMPLETION))
    asked = sourced + "COMP_WORDS=(holdfast bundle ro) COMP_CWORD=2; _holdfast; echo $COMPREPLY"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("rollback\n", "")
