"""What a NoCloud seed asks for: taken where it is understood, told where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.console.machine import Machine, read_folder
from appliance.console.seed import read_seed
from appliance.errors import LocalError

USER = """#cloud-config
hostname: hq
ssh_authorized_keys:
  - ssh-ed25519 AAAA admin@example
ntp:
  servers: [ntp.example]
holdfast:
  settings: {cloud_url: "https://cloud.example", cloud_site: hq}
  cloud_ca: "-----BEGIN CERTIFICATE-----"
"""
NETWORK = """version: 2
ethernets:
  eth0:
    addresses: [192.0.2.10/24]
    routes: [{to: default, via: 192.0.2.1}]
    nameservers: {addresses: [192.0.2.53]}
"""


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("_", "-")).write_text(text)
    return tmp_path


def test_a_whole_seed_is_understood(tmp_path: Path) -> None:
    seed = read_folder(
        folder(tmp_path, user_data=USER, meta_data="instance-id: one", network_config=NETWORK)
    )
    assert seed.problems == () and seed.instance == "one"
    assert seed.network is not None and seed.network.method == "static"
    assert seed.network.addresses == ("192.0.2.10/24",) and seed.network.gateways == ("192.0.2.1",)
    assert seed.network.hostname == "hq" and seed.network.ntp == ("ntp.example",)
    assert seed.keys == ("ssh-ed25519 AAAA admin@example",)


def test_a_vlan_of_a_seed_has_the_addresses() -> None:
    network = {
        "version": 2,
        "ethernets": {"eth0": {"dhcp4": False}},
        "vlans": {"voice": {"id": 40, "link": "eth0", "dhcp4": True}},
    }
    plan = read_seed(None, None, {"network": network}).network
    assert plan is not None and (plan.interface, plan.vlan, plan.method) == ("eth0", 40, "dhcp")


@pytest.mark.parametrize(
    ("user", "network", "words"),
    [
        ({"runcmd": ["x"]}, None, "runcmd is not understood"),
        ({"ssh_authorized_keys": "one"}, None, "must be a list"),
        ({"holdfast": {"password": "x"}}, None, "holdfast: password is not understood"),
        (None, {"version": 1, "config": []}, "version must be 2"),
        (None, {"version": 2, "ethernets": {"e": {"addresses": ["1.2.3.4"]}}}, "needs its prefix"),
        (["x"], None, "user-data: must be a mapping"),
    ],
)
def test_what_is_not_understood_is_told_and_the_rest_is_used(
    user: object, network: object, words: str
) -> None:
    assert any(words in problem for problem in read_seed(user, None, network).problems)


def test_a_seed_is_sown_once_and_a_second_start_keeps_what_was_changed(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "root")
    (machine.state).mkdir(parents=True)
    seed = read_folder(folder(tmp_path, user_data=USER, network_config=NETWORK))
    assert machine.sow(seed) == []
    assert machine.plan().addresses == ("192.0.2.10/24",)
    settings = (machine.config / "holdfast.toml").read_text()
    assert 'cloud_ca = "/etc/holdfast/cloud-ca.pem"' in settings and "cloud.example" in settings
    keys = tmp_path / "root/data/ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAA admin@example\n"
    (machine.config / "network.json").unlink()
    assert machine.sow(seed) == [] and machine.plan().method == "dhcp"


def test_bad_settings_and_a_bad_bundle_are_told_and_not_written(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.state.mkdir(parents=True)
    user = {"holdfast": {"settings": {"sip_prot": 1}, "bundle": {"version": 1}}}
    told = machine.sow(read_seed(user, None, None))
    assert any("sip_prot" in line for line in told) and any("bundle:" in line for line in told)
    assert not (machine.config / "holdfast.toml").exists()
    assert not (tmp_path / "var/lib/holdfast/bundle.json").exists()


def test_a_file_that_is_no_yaml_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="user-data is not YAML"):
        read_folder(folder(tmp_path, user_data="a: [1"))
    with pytest.raises(LocalError, match="user-data: larger than"):
        read_folder(folder(tmp_path, user_data="#" * (5 << 20)))


def test_a_start_writes_what_networkd_reads_though_the_plan_is_broken(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.config.mkdir(parents=True)
    (machine.config / "network.json").write_text(json.dumps({"vlan": 9999}))
    (problem,) = machine.apply()
    assert "vlan" in problem and "DHCP is used" in problem and machine.problems() == [problem]
    network = tmp_path / "run/systemd/network/10-holdfast.network"
    assert "DHCP=yes" in network.read_text()
