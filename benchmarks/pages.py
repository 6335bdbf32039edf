"""Every page of the largest site there may be: time, processor time and octets of each.

python -m benchmarks.pages [--phones N] [--contacts N] [--calls N] [--up N] [--rounds N]

All of Holdfast's processes serve on one core, with every phone registered, calls that are up, and
records of many more; whoever looks is on the other core. The pages are those of the table of
routes; one that is new there and needs to be told what to show stops the run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance.bundle import Bundle, Group, Peer, RouteGroup, Sbc, Zone
from appliance.cloud.sample import make_sample
from appliance.web.access import ACCESS
from benchmarks import generator, holdfast, site
from benchmarks.isolation import busy_share, enter_own_network
from benchmarks.process import CLIENT_CORE, Server, Usage, wait_until
from benchmarks.visitor import Visitor

TIME_LIMIT, SIZE_LIMIT = 0.3, 200 << 10
"""Seconds of an answer, and octets of a first visit, that no page may go beyond."""
FILES = frozenset({"/static/{name}", "/records.csv", "/metrics"})
"""Routes outside the API that are no pages."""
FULL = {
    "/directory": "/directory?search=an",
    "/configuration": "/configuration?since=1",
    "/groups": "/groups?group=70090&keys=1",
    "/emergency": "/emergency?from=10002",
    "/trunk": "/trunk?from=10002&number=912125550123",
}
"""Pages that have more to do when they are asked something."""
AT_WORK = 'hx-trigger="load delay'
"""In a page that waits for something and asks for itself again."""
GROUPS, PEERS = 200, 200


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages", description=__doc__)
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--contacts", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=5_000, help="records")
    parser.add_argument("--up", type=int, default=500, help="calls that are up")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    return parser.parse_args()


def large_site(phones: int, contacts: int) -> Bundle:
    """Return the site whose phones the generator knows, with much of everything else."""
    zones = (Zone(id="primary", host="127.0.0.1"), Zone(id="secondary", host="127.0.0.1"))
    known = msgspec.json.decode(json.dumps(site.bundle(phones)), type=Bundle)
    plain = make_sample(phones, contacts, domain=site.DOMAIN, zones=zones).bundle
    users = [
        msgspec.structs.replace(user, aliases=one.aliases, credentials=one.credentials)
        for user, one in zip(plain.users, with_aliases(known), strict=True)
    ]
    return msgspec.structs.replace(
        plain,
        zones=known.zones,
        monitoring=known.monitoring,
        policies=known.policies,
        texts=known.texts,
        users=tuple(users),
        groups=(*plain.groups, *departments(plain)),
        peers=tuple(peer(number) for number in range(PEERS)),
        route_groups=(RouteGroup(id="pstn", sbcs=tuple(sbc(number) for number in range(20))),),
    )


def with_aliases(bundle: Bundle) -> list[Any]:
    """Return the generator's users, each to be called by its own extension as an alias."""
    return [msgspec.structs.replace(user, aliases=(user.extension,)) for user in bundle.users]


def departments(bundle: Bundle) -> Iterator[Group]:
    """Yield groups of twenty users each."""
    for number in range(GROUPS):
        members = tuple(user.id for user in bundle.users[number * 20 : number * 20 + 20])
        if members:
            name, extension = f"Department {number}", str(50_000 + number)
            yield Group(id=f"department-{number}", name=name, extension=extension, members=members)


def peer(number: int) -> Peer:
    """Return another site, at which nobody listens."""
    host = f"127.5.0.{number + 1}"
    return Peer(site=f"branch-{number}", code=str(6000 + number), host=host, port=9)


def sbc(number: int) -> Sbc:
    """Return an SBC, at which nobody listens."""
    return Sbc(host=f"127.6.0.{number + 1}", port=9, priority=number + 1)


def every_page() -> list[str]:
    """Return the path of every page behind the log-in, from the table of routes."""
    paths = [route.removeprefix("GET ") for route in ACCESS if route.startswith("GET ")]
    inside = [path for path in paths if not ACCESS[f"GET {path}"].public]
    return [path for path in inside if path not in FILES and not path.startswith("/api/")]


def addresses(visitor: Visitor) -> list[str]:
    """Return the address of each page; raises RuntimeError for one that it has no example of."""
    found = re.search(r'href="(/records/[^"]+)"', visitor.ask("/records").text)
    call = json.loads(visitor.ask("/api/v1/calls").text)[0]["id"]
    known = {**FULL, "/records/{id}": found[1] if found else "", "/calls/{id}": f"/calls/{call}"}
    pages = [known.get(path, path) for path in every_page()]
    if unknown := [page for page in pages if "{" in page or not page]:
        raise RuntimeError(f"which one of {unknown} is to be shown? Tell it in benchmarks/pages.py")
    return pages


@contextmanager
def furnished(
    folder: Path, phones: int, contacts: int, calls: int, up: int
) -> Iterator[tuple[Server, Visitor]]:
    """Have a site with all of that for as long as the context lasts."""
    place = folder / "server"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    bundle = large_site(phones, contacts)
    server = holdfast.server(place, 1)
    (place / "data" / "bundle.json").write_bytes(msgspec.json.encode(bundle))
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(stop, server)
        if not wait_until(lambda: generator.first_status(5060) in (401, 407), 180):
            raise RuntimeError(f"Holdfast did not come up:\n{server.tail()}")
        if not wait_until((place / "data" / "admin.password").exists, 180):
            raise RuntimeError("there is no first password")
        visitor = Visitor()
        visitor.log_in((place / "data" / "admin.password").read_text().split()[1])
        more = {"transport": "udp", "port": 5060, "phones": phones, "window": 200}
        print("registered:", generator.register(folder, server, **more)["registered"], flush=True)
        made = generator.call(folder, server, port=5060, pairs=50, calls=calls, limit=180)
        print("calls made:", made["answered"], flush=True)
        versions(place / "data", bundle)
        stack.enter_context(talking(folder, up, visitor))
        yield server, visitor


def versions(data: Path, bundle: Bundle) -> None:
    """Bring a version in which everybody has another name, and one that is held."""
    script = Visitor(Authorization=f"Bearer {(data / 'admin.token').read_text().strip()}")
    moved = [msgspec.structs.replace(user, name=f"{user.name} Jr.") for user in bundle.users]
    second = msgspec.structs.replace(bundle, version=2, users=tuple(moved))
    script.post("/api/v1/bundle", msgspec.json.encode(second))
    third = msgspec.structs.replace(second, version=3, contacts=())
    script.post("/api/v1/bundle", msgspec.json.encode(third))


@contextmanager
def talking(folder: Path, calls: int, visitor: Visitor) -> Iterator[None]:
    """Have calls up for as long as the context lasts."""
    if not calls:
        yield
        return
    more = {"port": 5060, "pairs": calls, "calls": calls, "talk": 3600, "limit": 3600, "rate": 200}
    with generator.running(folder / "calls", domain=site.DOMAIN, **more) as process:
        generator.line(process)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        if not wait_until(lambda: calls_up(visitor) >= calls, 60, 0.5):
            raise RuntimeError(f"{calls_up(visitor)} of {calls} calls are up")
        yield


def calls_up(visitor: Visitor) -> int:
    """Ask how many calls are up."""
    return int(json.loads(visitor.ask("/api/v1/status").text)["calls"])


def stop(server: Server) -> None:
    """End a server that may have ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        server.stop()


def measure(server: Server, visitor: Visitor, page: str, rounds: int) -> dict[str, Any]:
    """Ask for a page once and then again and again; return its figures."""
    first = visitor.ask(page)
    if first.status != 200:
        raise RuntimeError(f"{page}: {first.status}")
    wait_until(lambda: AT_WORK not in visitor.ask(page).text, 120, 0.5)
    before, answers = server.usage(), []
    for _ in range(rounds):
        answers.append(visitor.ask(page))
        time.sleep(0.02)  # what a page sets going is not the next one's
    after = server.usage()
    needed = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', first.text))
    times = sorted(answer.seconds for answer in answers)
    octets = max(answer.octets for answer in (first, *answers))
    return {
        "page": page,
        "first": first.seconds,
        "p50": times[len(times) // 2],
        "worst": times[-1],
        "admin": spent(before, after, "admin") / rounds,
        "core": spent(before, after, "core") / rounds,
        "octets": octets,
        "visit": octets + sum(visitor.ask(file).octets for file in needed),
    }


def spent(before: Usage, after: Usage, name: str) -> float:
    """Return the seconds of processor time that a process has used meanwhile."""
    return after.parts.get(name, 0.0) - before.parts.get(name, 0.0)


HEADS = (
    "page",
    "first ms",
    "p50 ms",
    "worst ms",
    "admin CPU ms",
    "core CPU ms",
    "KiB",
    "visit KiB",
)


def line(row: dict[str, Any]) -> str:
    """Write a row of the table."""
    times = [f"{row[name] * 1000:.1f}" for name in ("first", "p50", "worst", "admin", "core")]
    sizes = [f"{row[name] / 1024:.1f}" for name in ("octets", "visit")]
    over = " over" if is_over(row) else ""
    return f"| `{row['page']}` | {' | '.join(times + sizes)} |{over}"


def is_over(row: dict[str, Any]) -> bool:
    """Tell whether a page is slower or larger than it may be."""
    return bool(max(row["first"], row["worst"]) > TIME_LIMIT or row["visit"] > SIZE_LIMIT)


def run(
    folder: Path,
    phones: int = 10_000,
    calls: int = 5_000,
    contacts: int = 50_000,
    up: int = 500,
    rounds: int = 20,
) -> list[dict[str, Any]]:
    """Measure every page with so many of each, `up` calls that last, and print a table."""
    print(f"others use {busy_share():.0%} of the machine", flush=True)
    rows = []
    up = min(up, phones // 4)  # two phones talk, and others call meanwhile
    with furnished(folder, phones, contacts, calls, up) as (server, visitor):
        os.sched_setaffinity(0, {CLIENT_CORE})
        server.settle()
        print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
        for page in addresses(visitor):
            rows.append(measure(server, visitor, page, rounds))
            print(line(rows[-1]), flush=True)
    over = [row["page"] for row in rows if is_over(row)]
    print(f"{len(rows)} pages; beyond 300 ms or 200 KiB: {', '.join(over) or 'none'}")
    return rows


def main() -> None:
    """Measure in a network of our own."""
    asked = arguments()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    enter_own_network()
    run(folder, asked.phones, asked.calls, asked.contacts, asked.up, asked.rounds)


if __name__ == "__main__":
    main()
