"""A phone's LDAP, as few octets as it takes: bind, search, and what came back."""

from __future__ import annotations

import socket

from appliance.phonebook.ber import element, elements, whole, written


class Phone:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        self._socket.settimeout(5)
        self._buffer = b""
        self._id = 0

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def message(self) -> tuple[int, bytes]:
        """Give the tag and content of the next message's operation; ConnectionError at the end."""
        while (size := whole(self._buffer)) is None:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        outer = element(data, 0, size)
        operation = list(elements(data, outer.content, outer.end))[1]
        return operation.tag, data[operation.content : operation.end]

    def ask(self, operation: bytes, *controls: bytes) -> tuple[int, int]:
        """Send an operation; give the result code and how many entries came before it."""
        self._id += 1
        number = written(0x02, self._id.to_bytes(3, "big"))
        more = written(0xA0, b"".join(controls)) if controls else b""
        self.send(written(0x30, number + operation + more))
        entries = 0
        while True:
            tag, content = self.message()
            if tag != 0x64:
                return content[2], entries
            entries += 1

    def bind(self, name: str = "", password: str = "") -> int:
        parts = b"\x02\x01\x03" + written(0x04, name.encode()) + written(0x80, password.encode())
        return self.ask(written(0x60, parts))[0]

    def search(self, base: str, text: str) -> tuple[int, int]:
        """Search `(|(cn=*text*)(sn=*text*))`, as phones do."""
        return self.ask(search(base, text))


def search(base: str, text: str, limit: int = 50) -> bytes:
    """Write the search for a part of a name."""
    part = written(0x30, written(0x81, text.encode()))
    tests = [written(0xA4, written(0x04, name) + part) for name in (b"cn", b"sn")]
    return written(
        0x63,
        written(0x04, base.encode())
        + b"\x0a\x01\x02\x0a\x01\x00\x02\x02"
        + limit.to_bytes(2, "big")
        + b"\x02\x01\x05\x01\x01\x00"
        + written(0xA1, b"".join(tests))
        + written(0x30, written(0x04, b"cn")),
    )
