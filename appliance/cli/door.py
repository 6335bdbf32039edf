"""The CLI's way to the admin process: its HTTPS API, with the token of the data folder."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings

TIMEOUT = 30.0
"""Seconds to wait for an answer; `sync` waits for the cloud."""
SAVE_TIMEOUT = 600.0
"""Seconds to wait for something large that is made first."""
EVENT_LIMIT = 4 << 20
"""Bytes of one line; issues of a whole site are a few KiB."""
LONGEST_PATH = 7000
"""Characters of what is asked for; aiohttp takes a first line of 8,190 bytes."""
PART = 256 << 10
"""Bytes of a file that are in memory at a time."""
ANSWER_LIMIT = 64 << 20
"""Bytes; 10,000 phones are about 4 MB."""


class Problem(LocalError):
    """Report an answer of the API that says no."""

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        super().__init__(str(content.get("detail") or content.get("title") or f"status {status}"))
        self.status = status
        self.content = content
        """The whole problem+json."""


class Door:
    """Ask the admin process of this machine; raises Unavailable when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str) -> Any:
        """Return what the API tells; raises Problem when it refuses, Unavailable when it cannot."""
        return self._ask("GET", path, None, TIMEOUT)

    def post(self, path: str, body: bytes = b"", timeout: float = TIMEOUT) -> Any:
        """Make the API do something; raises as `get` does."""
        return self._ask("POST", path, body, timeout)

    def tell(self, method: str, path: str, content: Any = None) -> Any:
        """Send JSON, or nothing, with a method; raises as `get` does."""
        body = None if content is None else msgspec.json.encode(content)
        return self._ask(method, path, body, TIMEOUT)

    def save(self, path: str, content: Any, file: Path, method: str = "POST") -> int:
        """Write what the API answers to a new file; return its size. Raises as `get` does."""
        body = None if content is None else msgspec.json.encode(content)
        with self._answering(method, path, body, SAVE_TIMEOUT) as answer:
            if answer.status != 200:
                _judge(answer.status, answer.read(ANSWER_LIMIT))
            return _keep(answer, file)

    def follow(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield name and JSON of each server-sent event; raises Unavailable when they end."""
        with self._answering("GET", path, None, TIMEOUT) as answer:
            if answer.status != 200:
                _judge(answer.status, answer.read(ANSWER_LIMIT))
            name = ""
            while line := answer.readline(EVENT_LIMIT):
                field, _, value = line.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, value
        raise Unavailable("the admin process has ended the stream of events; is it restarted?")

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> Any:
        with self._answering(method, path, body, timeout) as answer:
            data = answer.read(ANSWER_LIMIT)
        return _judge(answer.status, data)

    @contextlib.contextmanager
    def _answering(
        self, method: str, path: str, body: bytes | None, timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        if len(path) > LONGEST_PATH:
            raise LocalError(f"{len(path)} characters are too many to ask for; name fewer, or less")
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        headers |= {"Content-Type": "application/json"} if body else {}
        connection = http.client.HTTPSConnection(
            self._address(), self._settings.admin_port, timeout=timeout, context=_unnamed()
        )
        try:
            connection.connect()
            self._check_identity(connection)
            connection.request(method, f"/api/v1/{path}", body, headers)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(self._silence(error)) from error
        finally:
            connection.close()

    def _check_identity(self, connection: http.client.HTTPSConnection) -> None:
        """Show the token only to the holder of the certificate in our data folder."""
        sock = connection.sock
        shown = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        files = admin_certificates(self._settings)
        if shown is None or shown not in [_first_certificate(file) for file in files]:
            raise LocalError(
                f"whoever answers on port {self._settings.admin_port} shows none of the "
                f"certificates {', '.join(map(str, files))}; name the right folder with --data"
            )

    def _token(self) -> str:
        file = self._settings.admin_token_file
        try:
            return file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            text = f"there is no {file}: Holdfast never ran with this folder; see --data"
            raise Unavailable(text) from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise LocalError(f"{file} cannot be read: {why}; use its owner's account") from error

    def _address(self) -> str:
        """Return where the server that listens there can be reached from this machine."""
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
        return anywhere.get(self._settings.admin_address, self._settings.admin_address)

    def _silence(self, error: Exception) -> str:
        where = f"{self._address()} port {self._settings.admin_port}"
        return f"the admin process does not answer at {where} ({error}); is Holdfast running?"


def admin_certificates(settings: Settings) -> list[Path]:
    """Return the certificates that the admin process may show: the installed one, or its own."""
    own = admin_folder(settings) / "sip.crt"
    return [own] if settings.tls_certificate is None else [settings.tls_certificate, own]


def admin_folder(settings: Settings) -> Path:
    """Return where the admin process keeps its own certificate."""
    return settings.data / "admin"


def _first_certificate(file: Path) -> bytes | None:
    """Return the first certificate of a PEM chain, the server's, or None when there is none."""
    try:
        text = file.read_text(encoding="ascii")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        return ssl.PEM_cert_to_DER_cert(text[begin:end])
    except (OSError, ValueError):
        return None


def _keep(answer: http.client.HTTPResponse, file: Path) -> int:
    """Write an answer to a new file and return its size; none is left of one that breaks off."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
    with open(descriptor, "wb", buffering=0) as written, contextlib.ExitStack() as undo:
        undo.callback(file.unlink, missing_ok=True)
        while part := answer.read(PART):
            _write(written, part, file)
        if answer.length:
            raise Unavailable(f"{answer.length} octets are missing; nothing is kept, ask again")
        undo.pop_all()
        return written.tell()


def _write(written: io.FileIO, part: bytes, file: Path) -> None:
    view = memoryview(part)
    try:
        while view:
            view = view[written.write(view) :]
    except OSError as error:
        raise Unavailable(f"{file} cannot be written: {error.strerror}; nothing is kept") from error


def _unnamed() -> ssl.SSLContext:
    """Build a context that takes any certificate; we compare it ourselves, octet for octet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _judge(status: int, data: bytes) -> Any:
    if status == 204:
        return None
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(f"the admin process answered {status} without JSON: {error}") from error
    if status < 400:
        return content
    problem = Problem(status, content if isinstance(content, dict) else {})
    if status in (502, 503, 504):
        raise Unavailable(str(problem))
    raise problem
