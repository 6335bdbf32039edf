"""`holdfast cloud`: run the reference cloud and command its failures."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from appliance.cloud.reference.control import Access, ask
from appliance.cloud.reference.faults import STATES
from appliance.cloud.reference.service import CloudSettings, ReferenceCloud


def add_parser(subparsers: Any) -> None:
    """Add `cloud` and its own commands."""
    cloud = subparsers.add_parser("cloud", help="run the reference cloud, for trials and tests")
    commands = cloud.add_subparsers(dest="cloud_command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_zone(commands)
    _add_api(commands)
    token = commands.add_parser("token", help="print a one-time token for `holdfast enrol`")
    _add_data(token)
    token.set_defaults(cloud_run=_token)
    status = commands.add_parser("status", help="show zones, phones and records of the cloud")
    records = commands.add_parser("records", help="list the call records the cloud has got")
    for parser in (status, records):
        parser.add_argument("--json", action="store_true", help="print JSON")
        _add_data(parser)
    status.set_defaults(cloud_run=_status)
    records.set_defaults(cloud_run=_records)
    cloud.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen command; return the exit status."""
    status: int = arguments.cloud_run(arguments)
    return status


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=_default_data(),
        help="the cloud's folder: certificates, tokens, records (default: %(default)s)",
    )


def _default_data() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "holdfast" / "cloud"


def _add_run(commands: Any) -> None:
    parser = commands.add_parser("run", help="serve a site: HTTPS API and two SIP zones")
    parser.add_argument("--site", type=Path, required=True, help="the site's bundle, JSON")
    parser.add_argument("--listen", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=9443, help="default: %(default)s")
    parser.add_argument("--primary-port", type=int, default=5191, help="default: %(default)s")
    parser.add_argument("--secondary-port", type=int, default=5192, help="default: %(default)s")
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        help="name or address for the certificates; the first is where appliances find the cloud",
    )
    _add_data(parser)
    parser.set_defaults(cloud_run=_run_cloud)


def _add_zone(commands: Any) -> None:
    parser = commands.add_parser("zone", help="make a zone fail, or mend it")
    parser.add_argument("zone", help="the zone's id in the bundle, e.g. primary")
    parser.add_argument("state", choices=STATES)
    parser.add_argument("--period", type=float, default=10.0, help="seconds of half a flap")
    parser.add_argument("--delay", type=float, help="seconds before every answer")
    _add_data(parser)
    parser.set_defaults(cloud_run=_zone)


def _add_api(commands: Any) -> None:
    parser = commands.add_parser("api", help="make the HTTPS API fail; without options: mend it")
    parser.add_argument(
        "--drop-records", type=int, default=0, metavar="N", help="cut the answers to N records"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--failing", action="store_true", help="503 to everything")
    parser.add_argument("--broken-bundle", action="store_true", help="serve half of the bundle")
    parser.add_argument("--broken-delta", action="store_true", help="send deltas of no use")
    _add_data(parser)
    parser.set_defaults(cloud_run=_api)


def _run_cloud(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = CloudSettings(
        site=arguments.site,
        data=arguments.data,
        listen=arguments.listen,
        http_port=arguments.http_port,
        zone_ports=(arguments.primary_port, arguments.secondary_port),
        hosts=tuple(arguments.host),
    )
    uvloop.run(_serve(settings))
    return 0


async def _serve(settings: CloudSettings) -> None:
    """Serve until asked to end."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    cloud = ReferenceCloud(settings)
    await cloud.start()
    try:
        _print_access(cloud, settings)
        await ended.wait()
    finally:
        await cloud.stop()


def _print_access(cloud: ReferenceCloud, settings: CloudSettings) -> None:
    access = cloud.access
    print(f"reference cloud of site {access.site} at {access.url}")
    for zone in cloud.zones.values():
        print(f"zone {zone.id}: {settings.public_host}:{zone.port}, UDP, TCP and TLS")
    print("an appliance of this site wants in its settings:")
    print(f'  cloud_url = "{access.url}"')
    print(f'  cloud_site = "{access.site}"')
    print(f'  cloud_token = "{access.site_token}"')
    print(f'  cloud_ca = "{access.ca}"')
    print(f'  bundle_keys = ["{access.bundle_key}"]', flush=True)


def _zone(arguments: argparse.Namespace) -> int:
    order = {"state": arguments.state, "period": arguments.period, "delay": arguments.delay}
    path = f"/control/zones/{arguments.zone}"
    zone = ask(Access.read(arguments.data), path, order)
    print(f"zone {zone['id']} is {zone['state']}")
    return 0


def _api(arguments: argparse.Namespace) -> int:
    order = {
        "drop_records": arguments.drop_records,
        "delay": arguments.delay,
        "failing": arguments.failing,
        "broken_bundle": arguments.broken_bundle,
        "broken_delta": arguments.broken_delta,
    }
    ask(Access.read(arguments.data), "/control/api", order)
    print("done")
    return 0


def _token(arguments: argparse.Namespace) -> int:
    print(ask(Access.read(arguments.data), "/control/enrolment", {})["token"])
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = ask(Access.read(arguments.data), "/control/status")
    if arguments.json:
        print(json.dumps(status, indent=2))
        return 0
    records, bundle = status["records"], status["bundle"]
    pulls = bundle["pulls"]
    print(f"site {status['site']}, bundle version {bundle['version']}", end="")
    print(f", sent {pulls['full']} times whole and {pulls['delta']} times as a delta")
    for zone in status["zones"]:
        print(
            f"zone {zone['id']:<12} {zone['state']:<10} port {zone['port']:<5}"
            f" {zone['registered']:>6} phones {zone['connections']:>6} connections"
        )
    print(f"records: {records['count']}, arrived {records['arrivals']} times in all")
    return 0


def _records(arguments: argparse.Namespace) -> int:
    access = Access.read(arguments.data)
    answer = ask(access, f"/v1/sites/{access.site}/records")
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return 0
    for entry in answer["records"]:
        print(_record_line(entry))
    print(f"{answer['count']} records, arrived {answer['arrivals']} times in all")
    return 0


def _record_line(entry: dict[str, Any]) -> str:
    record = entry["record"]
    time = datetime.fromtimestamp(entry["received"]).astimezone().isoformat(" ", "seconds")
    return (
        f"{time}  {record.get('caller', '?'):>8} -> {record.get('callee', '?'):<8}"
        f" {record.get('outcome', '?'):<12} {record.get('mode', '?'):<14}"
        f" arrived {entry['arrivals']}x  {entry['id']}"
    )
