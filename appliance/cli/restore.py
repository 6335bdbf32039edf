"""`holdfast restore`: put back what `holdfast backup` has written."""

from __future__ import annotations

import argparse
import socket
import time
from typing import Any

from appliance.backup.archive import RESTORED, SETTINGS, read_backup
from appliance.cli.backup import add_file_options, passphrase_of
from appliance.cli.options import OK, new_parser, settings_of
from appliance.cli.output import print_json
from appliance.errors import LocalError
from appliance.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Add `restore`."""
    about = "put back what a backup holds; Holdfast must not run meanwhile"
    parser = new_parser(subparsers, "restore", about)
    add_file_options(parser, "as `backup` wrote it")
    parser.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    _check_stopped(settings)
    try:
        with arguments.file.open("rb") as source:
            passphrase = passphrase_of(arguments, twice=False)
            aside = time.strftime("before-restore-%Y%m%dT%H%M%SZ", time.gmtime())
            names = read_backup(source, settings.data, passphrase, aside)
    except OSError as error:
        raise LocalError(f"{arguments.file}: {error.strerror}") from error
    if arguments.json:
        print_json({"restored": names, "aside": str(settings.data / aside)})
        return OK
    print(f"{len(names)} files are back in {settings.data}; what was there is in {aside}")
    if any(name.startswith(RESTORED) for name in names):
        print(f"settings and certificates of your own are in {settings.data / RESTORED}:")
        print(
            f"compare {SETTINGS} there with the one in use, and put the files where it names them"
        )
    print("start Holdfast now; phones register again by themselves")
    return OK


def _check_stopped(settings: Settings) -> None:
    """Refuse while a process of ours has the databases open."""
    admin = socket.AF_INET, ("127.0.0.1", settings.admin_port)
    for family, place in ((socket.AF_UNIX, str(settings.core_socket)), admin):
        with socket.socket(family) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(place) == 0:
                raise LocalError("Holdfast runs; stop it first (systemctl stop holdfast.target)")
