# SPDX-License-Identifier: GPL-2.0-only
"""The executable `holdfast-netdiag`: one request, one answer.

With arguments it serves a person: `holdfast-netdiag dhcp CARD`, `holdfast-netdiag arp CARD HOST`.
Without any it reads one line of JSON from standard input, which may be a socket, and writes one;
behind that of a capture a file follows as it grows, until it is complete or the input ends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from netdiag import capture
from netdiag.asked import Asked, check, read
from netdiag.refusal import Refused
from netdiag.wanted import Wanted

REQUEST_LIMIT = 4096
"""Characters of a request that are read."""
USAGE = "usage: holdfast-netdiag [dhcp CARD | arp CARD ADDRESS]"


def main(words: Sequence[str] | None = None) -> int:
    """Make one probe; 0 when it was made, 1 when it could not be, 2 when it was refused."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        asked = _of_words(given) if given else read(sys.stdin.readline(REQUEST_LIMIT))
    except Refused as error:
        return _answer({"failure": str(error)}, 2)
    if isinstance(asked, Wanted):
        return _capture(asked)
    try:
        return _answer({"probe": asked.probe} | _probe(asked.probe)(asked), 0)
    except PermissionError:
        return _answer({"failure": "not permitted: it needs CAP_NET_RAW"}, 1)
    except ImportError as error:
        return _answer({"failure": f"scapy is not installed: {error}"}, 1)
    except (OSError, ValueError) as error:
        return _answer({"failure": str(error)}, 1)


def _capture(wanted: Wanted) -> int:
    """Write a file to standard output until it is complete or whoever asked is gone."""
    try:
        capture.run(wanted, capture.to_descriptor(sys.stdout.fileno()), sys.stdin.fileno())
    except Refused as error:
        return _answer({"failure": str(error)}, 2)
    except PermissionError:
        return _answer({"failure": "not permitted: it needs CAP_NET_RAW"}, 1)
    except (BrokenPipeError, ConnectionResetError):
        return 0
    except OSError as error:
        return _answer({"failure": f"{wanted.card}: {error.strerror}"}, 1)
    return 0


def _of_words(words: list[str]) -> Asked:
    names = ("probe", "card", "address")
    if len(words) > len(names):
        raise Refused(USAGE)
    try:
        return check(dict(zip(names, words, strict=False)))
    except Refused as error:
        raise Refused(f"{error}; {USAGE}") from error


def _probe(name: str) -> Callable[[Asked], dict[str, Any]]:
    """Import scapy only now: what is refused needs none of its 0.4 s."""
    if name == "arp":
        from netdiag import arp  # noqa: PLC0415  # 0.4 s

        return arp.look
    from netdiag import dhcp  # noqa: PLC0415  # 0.4 s

    return dhcp.look


def _answer(content: dict[str, Any], status: int) -> int:
    print(json.dumps(content), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
