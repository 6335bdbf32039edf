"""The reference cloud's CA, its ledger and its site file."""

import os
import ssl
import stat
from pathlib import Path

import msgspec
import pytest

from appliance.cloud.reference.authority import Authority
from appliance.cloud.reference.ledger import Ledger
from appliance.cloud.reference.site import SiteFile
from appliance.cloud.signature import new_key, read_key
from appliance.errors import LocalError
from tests.cloud.reference_trial import site_bundle

KEY = read_key(new_key()[0])


def shaken(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Shake hands in memory; raises ssl.SSLError when the client does not like the server."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(back, there, server_hostname=name)
    two = server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (one, two):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    one.do_handshake()


@pytest.mark.parametrize("name", ["cloud.test", "127.0.0.1"])
def test_clients_trust_its_servers_by_every_name(tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path)
    server = authority.server_context("zone", ("cloud.test", "127.0.0.1"))
    shaken(server, authority.client_context(), name)


def test_another_name_and_an_expired_certificate_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.server_context("zone", ("cloud.test",))
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        shaken(server, authority.client_context(), "other.test")
    expired = authority.server_context("old", ("cloud.test",), expired=True)
    with pytest.raises(ssl.SSLError, match="expired"):
        shaken(expired, authority.client_context(), "cloud.test")


def test_trust_outlasts_a_restart(tmp_path: Path) -> None:
    client = Authority(tmp_path).client_context()
    server = Authority(tmp_path).server_context("zone", ("cloud.test",))
    shaken(server, client, "cloud.test")


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    Authority(tmp_path).server_context("zone", ("cloud.test",))
    for name in ("ca.key", "zone.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_broken_key_is_named(tmp_path: Path) -> None:
    Authority(tmp_path)
    (tmp_path / "ca.key").write_text("nonsense")
    with pytest.raises(LocalError, match="cannot be read"):
        Authority(tmp_path)


def test_the_ledger_counts_arrivals_for_each_site(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "records.db")
    assert ledger.put("hq", "r1", b"{}", 1.0)
    assert not ledger.put("hq", "r1", b"{}", 2.0)
    assert ledger.put("branch", "r1", b"{}", 3.0)
    assert ledger.counts() == (2, 3)
    assert [(entry.id, entry.arrivals) for entry in ledger.entries("hq")] == [("r1", 2)]
    ledger.close()


def test_a_site_file_that_is_no_bundle_is_refused_at_start(tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    with pytest.raises(LocalError, match="check the path"):
        SiteFile(file, lambda zone: zone, KEY)
    file.write_text("{}")
    with pytest.raises(LocalError, match="bundle refused"):
        SiteFile(file, lambda zone: zone, KEY)


def test_a_changed_site_file_changes_the_etag(tmp_path: Path) -> None:
    file = tmp_path / "site.json"
    file.write_bytes(msgspec.json.encode(site_bundle()))
    site = SiteFile(file, lambda zone: zone, KEY)
    first = site.etag
    site.refresh()
    assert site.etag == first
    file.write_bytes(msgspec.json.encode(site_bundle(version=2)))
    os.utime(file, ns=(1, 1))
    site.refresh()
    assert site.etag != first and site.plain.version == 2
