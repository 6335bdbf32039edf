"""`holdfast demo`: an outage from beginning to end, on this machine alone."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from appliance.cli.options import NO, OK
from appliance.demo.abroad import MOST_SITES, Wanted
from appliance.demo.fleet import CAST
from appliance.demo.keep import keep_running
from appliance.demo.stage import Pace, Stage
from appliance.demo.steps import print_summary
from appliance.demo.story import Story
from appliance.demo.timeline import Timeline
from appliance.errors import LocalError

PHONES = 50
MOST = 2000
"""Phones; each costs a descriptor and, with its transactions, about 100 KiB."""
DESCRIPTORS = 8192
INTERRUPTED = 130
LONGEST_BASE = 60
"""Bytes of the folder for temporary files, beyond which /tmp is used."""


def add_parser(subparsers: Any) -> None:
    """Add `demo`."""
    parser = subparsers.add_parser(
        "demo", help="watch a site lose its cloud: simulated phones, real audio, a verdict"
    )
    parser.add_argument(
        "--phones", type=int, default=PHONES, help=f"{CAST} to {MOST} (default: %(default)s)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running, for a softphone of your own"
    )
    parser.add_argument(
        "--trunk", action="store_true", help="add a carrier: calls out, in, for help and back"
    )
    parser.add_argument(
        "--sites",
        type=int,
        default=1,
        metavar="N",
        help=f"sites with a Holdfast that call each other, 1 to {MOST_SITES} (default: 1)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play the outage; 0 when every step was verified, 1 when not."""
    if not CAST <= arguments.phones <= MOST:
        raise LocalError(f"--phones must be {CAST} to {MOST}")
    if not 1 <= arguments.sites <= MOST_SITES:
        raise LocalError(f"--sites must be 1 to {MOST_SITES}")
    wanted = Wanted(arguments.trunk, arguments.sites)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    folder = _make_folder()
    verified = False
    try:
        verified = uvloop.run(_play(folder, arguments.phones, wanted, arguments.keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; everything was ended", file=sys.stderr)
        return INTERRUPTED
    finally:
        if verified:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs and data: {folder}", file=sys.stderr)
    return OK if verified else NO


def _make_folder() -> Path:
    """Make the demo's own folder; Unix sockets in it must have paths of at most 107 bytes."""
    usual = tempfile.gettempdir()
    base = usual if len(os.fsencode(usual)) <= LONGEST_BASE else "/tmp"
    return Path(tempfile.mkdtemp(prefix="holdfast-demo-", dir=base))


async def _play(folder: Path, phones: int, wanted: Wanted, keep: bool) -> bool:
    """Set everything up, play, and end everything again, whatever happens."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    timeline = Timeline(sys.stdout)
    stage = Stage(folder, phones, Pace(), wanted)
    story = Story(stage, timeline, phones)
    timeline.plain(f"Holdfast demo: {phones} phones, all on 127.0.0.1; logs in {stage.logs}")
    if beyond := wanted.told():
        timeline.plain(f"beyond the site: {beyond}, on other addresses of this machine")
    timeline.plain(f"shortened for you: {stage.pace.told()}")
    try:
        await story.play()
        print_summary(timeline, story.steps.summary())
        if keep and story.steps.verified:
            with contextlib.suppress(asyncio.CancelledError):
                await keep_running(stage, story, timeline)
        return story.steps.verified
    finally:
        await story.close()
        await stage.close()
