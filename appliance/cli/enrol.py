"""`holdfast enrol`: make this appliance known at its cloud, with a one-time token."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from pathlib import Path
from typing import Any

import msgspec

from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, print_json
from appliance.cloud.identity import enrol
from appliance.errors import LocalError


def add_parser(subparsers: Any) -> None:
    """Add `enrol`."""
    about = "have the cloud sign a certificate for this appliance, with a one-time token"
    parser = new_parser(subparsers, "enrol", about)
    parser.add_argument("url", help="base URL of the cloud's API")
    about = "PEM of the CA that signed the cloud's certificate (default: the system's)"
    parser.add_argument("--ca", type=Path, metavar="FILE", help=about)
    about = "file with the token (default: it is asked for)"
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=about)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Enrol and say what comes next."""
    settings = msgspec.structs.replace(
        settings_of(arguments), cloud_url=arguments.url, cloud_ca=arguments.ca, cloud_token=""
    )
    told = asyncio.run(enrol(settings, _token(arguments)))
    if arguments.json:
        print_json(told)
        return OK
    print(f"this appliance is enrolled as site {clean(told.site)} at {clean(told.url)}")
    if told.bundle_keys:
        print(f"bundles must be signed by {', '.join(map(clean, told.bundle_keys))}")
    print("restart the admin process: systemctl restart holdfast-admin")
    return OK


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is None:
        return getpass.getpass("One-time token: ").strip()
    try:
        text: str = arguments.token_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"{arguments.token_file} cannot be read: {error}") from error
    return text.strip()
