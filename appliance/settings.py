"""What this one machine is told at start: addresses, ports, folders and limits.

Everything about the *site* (users, numbers, policies) is in the bundle; everything here is about
the box. Read from a TOML file, each key overridable by `HOLDFAST_<KEY>` in the environment.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from appliance.errors import LocalError

SOCKET_PATH = 107
"""Octets of a Unix socket's path: what the kernel's address structure holds before its last NUL."""

LISTS = ("addresses", "admin_hosts", "bundle_keys", "media_ports")
"""Settings that are lists; commas are between them in the environment."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one appliance; every default is safe for a site."""

    data: Path = Path("/var/lib/holdfast")
    """Folder of databases, certificates, tokens and the last good bundle."""
    run: Path = Path("/run/holdfast")
    """Folder of the Unix sockets between our processes."""

    addresses: tuple[str, ...] = ()
    """Addresses to serve on, IPv4 and IPv6; empty means every address of the machine."""
    sip_port: int = 5060
    """UDP and TCP port for SIP."""
    sips_port: int = 5091
    """TCP port for SIP over TLS."""
    trunk_port: int = 5061
    """TCP port for SBCs and other sites over TLS; served where the bundle has any."""
    tls_certificate: Path | None = None
    """PEM chain shown to phones; None: an own ECDSA one, made at first start in `data`."""
    tls_key: Path | None = None
    """PEM key of `tls_certificate`."""
    trunk_certificate: Path | None = None
    """PEM chain shown to SBCs and other sites; None: the one that phones see."""
    trunk_key: Path | None = None
    """PEM key of `trunk_certificate`."""
    udp_receive_buffer: int = 8 << 20
    """Bytes; 10,000 phones at once put about 8 MB in the queue while one core works them off."""
    listen_backlog: int = 4096
    """Connections the kernel holds for us; smaller ones lose phones in an avalanche."""
    connections_per_source: int = 12_000
    """Open TCP and TLS connections from one address; a site behind one NAT may be 10,000 phones."""
    handshake_timeout: float = 5.0
    """Seconds a TLS handshake may take."""
    first_message_timeout: float = 10.0
    """Seconds in which a new connection must send a whole message, and any begun one must end."""
    idle_timeout: float = 960.0
    """Seconds of silence (no message, no CRLF keep-alive) before a stream connection is closed."""

    media_ports: tuple[int, int] = (20000, 64000)
    """First and last UDP port for RTP and RTCP."""
    media_workers: int = 1
    """Processes of the user-space relay."""
    media_kernel: Literal["auto", "off", "required"] = "auto"
    """Whether the kernel relays by nftables: where it may, never, or else media does not start."""
    media_shortcut: Literal["auto", "off"] = "auto"
    """Whether RTP that the kernel relays takes an eBPF program past the rules where it may."""
    media_io_uring: Literal["auto", "off"] = "auto"
    """Whether user space takes packets by io_uring, many at a time, where the kernel lets it."""

    cloud_url: str = ""
    """Base URL of the cloud's API, e.g. https://cloud.example.com; empty: bundle by file only."""
    cloud_site: str = ""
    """Id of this site at the cloud; needed until there is a bundle, which then must be its."""
    cloud_records_url: str = ""
    """Base URL for call records; empty: `cloud_url`."""
    cloud_token: str = ""
    """Bearer token this site shows to the cloud."""
    cloud_ca: Path | None = None
    """PEM file of the CA that signed the cloud's certificate; None: the system's."""
    cloud_pull_interval: float = 60.0
    """Seconds between two questions whether the bundle changed (ETag; costs the cloud nothing)."""
    bundle_keys: tuple[str, ...] = ()
    """Ed25519 public keys (base64) of who may sign bundles; empty: they need not be signed."""
    bundle_shrink_limit: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    """Share of the users, phones or groups a bundle may remove without an admin's yes; 1: all."""

    admin_address: str = "0.0.0.0"
    """Address of the HTTPS API and the web pages."""
    admin_port: int = 8443
    """Port of the HTTPS API and the web pages; 443 on the appliance."""
    admin_hosts: tuple[str, ...] = ()
    """Names by which browsers call this appliance; addresses and its host name work anyway."""

    ldap: Literal["auto", "off"] = "auto"
    """Whether phones get the directory over LDAP; it needs slapd, and the bundle to let them in."""
    ldap_port: int = 390
    """TCP port of the directory; below 1024 it needs root or CAP_NET_BIND_SERVICE."""

    @property
    def core_socket(self) -> Path:
        """Unix socket on which core answers commands."""
        return self.run / "core.sock"

    @property
    def media_socket(self) -> Path:
        """Unix socket on which media takes relays."""
        return self.run / "media.sock"

    @property
    def bundle_file(self) -> Path:
        """The last good bundle; core starts from it without asking anybody."""
        return self.data / "bundle.json"

    @property
    def bundles_folder(self) -> Path:
        """Versions that were in force before, and one that is held."""
        return self.data / "bundles"

    @property
    def sounds_folder(self) -> Path:
        """The site's own prompts and tones, prepared when its bundle is applied."""
        return self.data / "sounds"

    @property
    def admin_token_file(self) -> Path:
        """Token the CLI shows to the HTTPS API; readable by the owner only."""
        return self.data / "admin.token"

    @property
    def admin_database(self) -> Path:
        """Accounts, tokens and the audit log."""
        return self.data / "admin.db"

    @property
    def admin_password_file(self) -> Path:
        """The one-time password of the first log-in, until it is used; readable by the owner."""
        return self.data / "admin.password"


def load_settings(file: Path | None, environment: dict[str, str]) -> Settings:
    """Read settings from `file` (TOML) and `HOLDFAST_*` variables; the environment wins.

    Raises LocalError that names the key, what is wrong and what to do.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise LocalError(f"settings file {file}: {error.strerror}; check the path") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise LocalError(f"settings file {file} is not TOML: {error}") from error
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name, text in environment.items():
        key = name.removeprefix("HOLDFAST_").lower()
        if name.startswith("HOLDFAST_") and key in known:
            values[key] = text.split(",") if key in LISTS else text
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise LocalError(f"settings: {error}; see docs/settings.md for every key") from error


def check_sockets(settings: Settings) -> None:
    """Raise LocalError for a `run` whose Unix sockets nobody could open."""
    for path in (settings.core_socket, settings.media_socket):
        octets = len(bytes(path.absolute()))
        if octets > SOCKET_PATH:
            raise LocalError(
                f"settings: `run` is too long: the socket {path} would be {octets} octets, and "
                f"{SOCKET_PATH} are possible; choose a shorter folder"
            )


def _path(kind: type[Any], value: Any) -> Any:
    """Make the one type of ours that TOML does not know; TypeError is reported with its field."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected a path as text, got {type(value).__name__}")
