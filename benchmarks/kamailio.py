"""Kamailio as a peer: registrar from memory or SQLite, and stateful proxy, tuned for 10,000."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks import site
from benchmarks.process import Server

MODULES = ["kex", "pv", "tm", "sl", "rr", "maxfwd", "textops", "siputils", "xlog", "tmx"]
MODULES += ["usrloc", "registrar", "auth", "htable"]
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "tls12": 5061}

# One worker for streams: with two, 5.6.3 ends with a double free in its TLS memory after some
# hundred to some thousand handshakes (OpenSSL 3), and one is no slower on one core.
CONFIGURATION = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=2
tcp_children=1
maxbuffer=8388608
disable_core_dump=yes
tcp_max_connections=19000
tcp_connection_lifetime=3605
tcp_connection_match=0
server_header=""
listen=udp:127.0.0.1:5060
listen=tcp:127.0.0.1:5060
alias="{domain}"
{tls}
{modules}
modparam("htable", "db_url", "sqlite://{database}")
modparam("htable", "htable", "accounts=>size=15;dbtable=accounts;")
modparam("usrloc", "hash_size", 14)
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "max_expires", 3600)
modparam("auth", "nonce_count", 0)
modparam("auth", "qop", "auth")
{storage}

request_route {{
    if (is_method("REGISTER")) {{
        if ($au == $null || !{check_register}) {{ www_challenge("{domain}", "1"); exit; }}
        save("location");
        exit;
    }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (t_precheck_trans()) {{ t_check_trans(); exit; }}
    if (is_method("INVITE")) {{
        if ($au == $null || !{check_invite}) {{ proxy_challenge("{domain}", "1"); exit; }}
        consume_credentials();
        record_route();
        if (!lookup("location")) {{ sl_send_reply("480", "Not registered"); exit; }}
        t_relay();
        exit;
    }}
    sl_send_reply("405", "Not served");
}}
"""

MEMORY = 'modparam("usrloc", "db_mode", 0)'
SQLITE = """loadmodule "auth_db.so"
modparam("auth_db", "db_url", "sqlite://{database}")
modparam("auth_db", "calculate_ha1", 0)
modparam("auth_db", "password_column", "ha1")
modparam("auth_db", "load_credentials", "")
modparam("usrloc", "db_url", "sqlite://{database}")
modparam("usrloc", "db_mode", 2)"""
TLS = """enable_tls=yes
tls_max_connections=19000
listen=tls:127.0.0.1:5061
loadmodule "tls.so"
modparam("tls", "private_key", "{key}")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "tls_method", "TLSv1.2+")"""


def write(folder: Path, phones: int, sqlite: bool, key_kind: str | None) -> Path:
    """Write configuration and database for `phones` accounts; give the configuration's path."""
    database = folder / "kamailio.db"
    site.write_database(database, phones)
    if sqlite:
        www = f'www_authenticate("{site.DOMAIN}", "subscriber")'
        proxy = f'proxy_authenticate("{site.DOMAIN}", "subscriber")'
    else:
        www = f'pv_www_authenticate("{site.DOMAIN}", "$sht(accounts=>$au)", "1")'
        proxy = f'pv_proxy_authenticate("{site.DOMAIN}", "$sht(accounts=>$au)", "1")'
    key, certificate = certificate_pair(folder, key_kind) if key_kind else (None, None)
    text = CONFIGURATION.format(
        domain=site.DOMAIN,
        database=database,
        tls=TLS.format(key=key, certificate=certificate) if key_kind else "",
        modules="\n".join(f'loadmodule "{name}.so"' for name in ["db_sqlite", *MODULES]),
        storage=SQLITE.format(database=database) if sqlite else MEMORY,
        check_register=www,
        check_invite=proxy,
    )
    file = folder / "kamailio.cfg"
    file.write_text(text)
    return file


def certificate_pair(folder: Path, kind: str) -> tuple[Path, Path]:
    """Make a self-signed certificate with an `ec` (P-256) or `rsa` (2048 bit) key."""
    key, certificate = folder / f"{kind}.key", folder / f"{kind}.pem"
    if not certificate.exists():
        made = ["-newkey", "rsa:2048"]
        if kind == "ec":
            made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        named = ["-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={site.DOMAIN}"]
        command = ["openssl", "req", "-x509", *made, "-nodes", "-days", "2", *named]
        subprocess.run(command, check=True, capture_output=True)
    return key, certificate


def server(folder: Path, phones: int, sqlite: bool = False, key_kind: str | None = None) -> Server:
    """Give a Kamailio that is ready to start."""
    file = write(folder, phones, sqlite, key_kind)
    places = ["-f", str(file), "-Y", str(folder), "-P", str(folder / "kamailio.pid")]
    command = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "2048", "-M", "32", *places]
    return Server("Kamailio", command, folder / "kamailio.log")
