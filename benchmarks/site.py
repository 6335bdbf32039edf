"""The site that every server under measurement serves: the same accounts for all of them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

DOMAIN = "bench.example"
FIRST = 100_000
"""User name of the first phone, also its extension; load/phone.c counts alike."""


def username(number: int) -> str:
    """Give a phone's user name and extension."""
    return str(FIRST + number)


def ha1(number: int, algorithm: str = "md5") -> str:
    """Give a phone's HA1 hash (RFC 8760)."""
    secret = f"{username(number)}:{DOMAIN}:secret-{username(number)}"
    return hashlib.new(algorithm, secret.encode()).hexdigest()


def bundle(phones: int) -> dict[str, Any]:
    """Make the bundle of a site whose cloud has been gone from the start."""
    return {
        "version": 1,
        "site": {
            "id": "bench",
            "name": "Benchmark",
            "code": "77",
            "domain": DOMAIN,
            "realm": DOMAIN,
        },
        "zones": [nowhere("primary", 9), nowhere("secondary", 10)],
        "monitoring": {"interval": 1.0, "timeout": 1.0, "misses": 1},
        "policies": {
            "max_expires": 3600,
            "max_calls": 100_000,
            "digest_algorithms": ["MD5"],  # as the peers
        },
        "texts": {"outage": "", "over": ""},
        "users": [user(number) for number in range(phones)],
    }


def nowhere(name: str, port: int) -> dict[str, Any]:
    """Make a zone at which nobody listens."""
    return {"id": name, "host": "127.0.0.1", "port": port, "transport": "TCP"}


def user(number: int) -> dict[str, Any]:
    """Make one user with one phone's credentials."""
    name = username(number)
    hashes = {"md5": ha1(number), "sha256": ha1(number, "sha256")}
    return {
        "id": name,
        "name": f"Phone {name}",
        "extension": name,
        "credentials": [{"username": name, "realm": DOMAIN, **hashes}],
    }


def write_bundle(file: Path, phones: int) -> None:
    """Write the bundle for Holdfast."""
    file.write_text(json.dumps(bundle(phones)))


def write_database(file: Path, phones: int) -> None:
    """Write the same accounts as Kamailio's SQLite database, with the tables it asks for."""
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as database:
        database.executescript(KAMAILIO_TABLES)
        rows = [(username(n), DOMAIN, ha1(n)) for n in range(phones)]
        database.executemany("INSERT INTO subscriber(username, domain, ha1) VALUES (?,?,?)", rows)
        pairs = [(name, 0, 0, digest, 0) for name, _, digest in rows]
        database.executemany("INSERT INTO accounts VALUES (?,?,?,?,?)", pairs)
    database.close()


KAMAILIO_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE version (table_name TEXT PRIMARY KEY, table_version INTEGER);
INSERT INTO version VALUES ('subscriber', 7), ('location', 9), ('accounts', 2);
CREATE TABLE subscriber (
  id INTEGER PRIMARY KEY, username TEXT, domain TEXT, password TEXT DEFAULT '', ha1 TEXT,
  ha1b TEXT DEFAULT '', UNIQUE (username, domain));
CREATE TABLE accounts (
  key_name TEXT, key_type INTEGER, value_type INTEGER, key_value TEXT, expires INTEGER);
CREATE TABLE location (
  id INTEGER PRIMARY KEY, ruid TEXT UNIQUE, username TEXT, domain TEXT, contact TEXT,
  received TEXT, path TEXT, expires TEXT, q REAL, callid TEXT, cseq INTEGER, last_modified TEXT,
  flags INTEGER, cflags INTEGER, user_agent TEXT, socket TEXT, methods INTEGER, instance TEXT,
  reg_id INTEGER, server_id INTEGER, connection_id INTEGER, keepalive INTEGER, partition INTEGER);
CREATE INDEX location_account ON location (username, domain, contact);
"""
