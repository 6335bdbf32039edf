"""The load generators: small C programs, so that the asking side never sets the pace."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import site
from benchmarks.process import CLIENT_CORE, Server, Usage

SOURCES = Path(__file__).parent / "load"
REAL_TIME = ("chrt", "--fifo", "1")
COMMON = ["phone.c", "link.c", "sip.c"]


def build(folder: Path) -> None:
    """Compile `register` and `calls` into `folder`, if older than their sources."""
    for name, more in (("register", []), ("calls", ["callee.c"])):
        compile_program(folder, name, [*more, *COMMON], ["-lssl", "-lcrypto"])


def compile_program(
    folder: Path, name: str, more: Sequence[str] = (), libraries: Sequence[str] = ()
) -> Path:
    """Compile one program into `folder`, if older than its sources."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("a C compiler and OpenSSL's headers are needed: gcc libc6-dev libssl-dev")
    newest = max(file.stat().st_mtime for file in SOURCES.iterdir())
    target = folder / name
    if not target.exists() or target.stat().st_mtime < newest:
        sources = [str(SOURCES / file) for file in [f"{name}.c", *more]]
        options = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(target)]
        subprocess.run([compiler, *options, *sources, *libraries], check=True)
    return target


@contextmanager
def running(program: Path, **arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a generator on the clients' core and end it afterwards.

    With `policy="fifo"` no other client there delays it, where we may set that.
    """
    real_time = arguments.pop("policy", "") == "fifo" and os.geteuid() == 0
    before = REAL_TIME if real_time else ()
    words = [f"{key}={value}" for key, value in arguments.items()]
    process = subprocess.Popen(
        ["taskset", "-c", str(CLIENT_CORE), *before, str(program), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """Read one line of a generator; an empty one means that it died."""
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        raise RuntimeError(f"the load generator ended with status {process.wait(5)}")
    return text


def register(folder: Path, server: Server, **arguments: object) -> dict[str, Any]:
    """Let phones register; give the generator's figures with the server's cost added."""
    before = server.usage()
    with running(folder / "register", domain=site.DOMAIN, **arguments) as process:
        figures = dict(json.loads(line(process)))
        after = server.usage()
    return cost(figures, before, after, figures["registered"], server)


def call(folder: Path, server: Server, **arguments: object) -> dict[str, Any]:
    """Let phones register and then call each other; the calls alone are counted."""
    with running(folder / "calls", domain=site.DOMAIN, **arguments) as process:
        line(process)
        before = server.usage()
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        figures = dict(json.loads(line(process)))
        after = server.usage()
    return cost(figures, before, after, figures["answered"], server)


def cost(
    figures: dict[str, Any], before: Usage, after: Usage, count: int, server: Server
) -> dict[str, Any]:
    """Add what the server used for `count` pieces of work."""
    figures["server"] = server.name
    figures["count"] = count
    figures["crashed"] = not server.alive()
    known = count and not figures["crashed"]
    figures["cpu_us"] = (after.cpu - before.cpu) / count * 1e6 if known else None
    figures["rate"] = count / figures["seconds"] if figures["seconds"] else 0.0
    figures["peak"] = after.peak
    figures["cpu_us_by_process"] = {
        name: round((used - before.parts.get(name, 0.0)) / max(count, 1) * 1e6, 1)
        for name, used in after.parts.items()
    }
    return figures


def first_status(port: int, patience: float = 0.5) -> int:
    """Send one REGISTER over UDP and give the status of the answer; 0 for none."""
    user = site.username(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(patience)
        probe.bind(("127.2.0.1", 0))
        host, own_port = probe.getsockname()
        here = f"{host}:{own_port}"
        text = (
            f"REGISTER sip:{site.DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK"
            f"{os.urandom(6).hex()};rport\r\nFrom: <sip:{user}@{site.DOMAIN}>;tag=probe\r\n"
            f"To: <sip:{user}@{site.DOMAIN}>\r\nCall-ID: {os.urandom(8).hex()}\r\n"
            f"CSeq: 1 REGISTER\r\nContact: <sip:{user}@{here}>\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        try:
            probe.sendto(text.encode(), ("127.0.0.1", port))
            return int(probe.recv(4096)[8:11])
        except (OSError, ValueError):
            return 0
