"""Debian's Chromium, and how it is started where nobody looks."""

from __future__ import annotations

import shutil

EXECUTABLE = shutil.which("chromium") or ""
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
