"""The site's name server: SRV records that list the zones first and Holdfast last.

`python -m tests.system.dns ADDRESS NAME=PRIORITY,PORT,HOST,ADDRESS ...` answers over UDP.
"""

from __future__ import annotations

import socket
import struct
import sys

SRV, A = 33, 1


def encode(name: str) -> bytes:
    """Write a name as labels."""
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def decode(data: bytes, at: int) -> tuple[str, int]:
    """Read a question's name; give it and where it ends."""
    labels = []
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels).lower(), at + 1


def record(name: str, kind: int, content: bytes) -> bytes:
    """Write one resource record that lives for five seconds."""
    return encode(name) + struct.pack("!HHIH", kind, 1, 5, len(content)) + content


class Records:
    """What the name server knows."""

    def __init__(self, words: list[str]) -> None:
        self.services: dict[str, list[tuple[int, int, str]]] = {}
        self.hosts: dict[str, str] = {}
        for word in words:
            name, _, value = word.partition("=")
            priority, port, host, address = value.split(",")
            self.services.setdefault(name, []).append((int(priority), int(port), host))
            self.hosts[host] = address

    def answer(self, question: bytes) -> bytes:
        """Answer one question."""
        name, at = decode(question, 12)
        (kind,) = struct.unpack_from("!H", question, at)
        found, more = [], []
        if kind == SRV:
            for priority, port, host in self.services.get(name, []):
                found.append(
                    record(name, SRV, struct.pack("!HHH", priority, 10, port) + encode(host))
                )
                more.append(record(host, A, socket.inet_aton(self.hosts[host])))
        elif kind == A and name in self.hosts:
            found.append(record(name, A, socket.inet_aton(self.hosts[name])))
        head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, len(more))
        return head + question[12 : at + 4] + b"".join(found) + b"".join(more)


def main() -> None:
    """Serve until killed."""
    records = Records(sys.argv[2:])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        while True:
            question, asker = server.recvfrom(512)
            server.sendto(records.answer(question), asker)


if __name__ == "__main__":
    main()
