"""The network plan: checked field by field, and written as systemd-networkd reads it."""

from __future__ import annotations

import pytest

from appliance.console.plan import NetworkPlan, checked, read_plan, rendered
from appliance.errors import LocalError

STATIC = NetworkPlan(
    method="static",
    addresses=("192.0.2.10/24", "2001:db8::10/64"),
    gateways=("192.0.2.1", "fe80::1"),
    dns=("192.0.2.53",),
    ntp=("ntp.example",),
    hostname="hq",
)


def test_without_a_plan_every_card_asks_dhcp_and_keeps_its_address_when_the_router_is_gone() -> (
    None
):
    (content,) = rendered(NetworkPlan()).values()
    assert "Type=ether" in content and "DHCP=yes" in content
    assert "KeepConfiguration=dhcp" in content


def test_fixed_addresses_go_to_the_first_card_and_nothing_asks_dhcp() -> None:
    content = rendered(checked(STATIC), "eth0")["10-holdfast.network"]
    assert "[Match]\nName=eth0" in content and "DHCP=no" in content
    for line in ("Address=192.0.2.10/24", "Address=2001:db8::10/64", "Gateway=fe80::1"):
        assert line in content.splitlines()
    assert {"DNS=192.0.2.53", "NTP=ntp.example"} <= set(content.splitlines())


def test_a_vlan_carries_the_addresses_and_the_card_none() -> None:
    files = rendered(checked(NetworkPlan(vlan=40)), "eth0")
    assert sorted(files) == ["10-holdfast.network", "20-voice.netdev", "30-voice.network"]
    assert (
        "VLAN=voice" in files["10-holdfast.network"] and "DHCP" not in files["10-holdfast.network"]
    )
    assert "Id=40" in files["20-voice.netdev"]
    assert "Name=voice" in files["30-voice.network"] and "DHCP=yes" in files["30-voice.network"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "static"}, "addresses: method static needs"),
        ({"addresses": ("192.0.2.10",)}, "needs its prefix"),
        ({"addresses": ("192.0.2.0/24",)}, "the network itself"),
        ({"addresses": ("127.0.0.1/8",)}, "cannot be this machine's"),
        ({"addresses": ("horse/24",)}, "no address with prefix"),
        ({"method": "static", "addresses": ("192.0.2.10/24",), "gateways": ("198.51.100.1",)},
         "lies in no network"),
        ({"gateways": ("192.0.2.1", "192.0.2.2")}, "one for each IP version"),
        ({"vlan": 4095}, "vlan: 4095"),
        ({"dns": ("ns.example",)}, "named by address"),
        ({"hostname": "a b"}, "hostname"),
        ({"interface": "eth0\nDHCP=yes"}, "no name of a network card"),
        ({"ntp": ("a\nb",)}, "ntp"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_by_field(fields: dict[str, object], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        checked(NetworkPlan(**fields))  # type: ignore[arg-type]


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(LocalError) as told:
        read_plan(b'{"vlan": 5000, "dns": ["x"], "hostname": "-"}')
    assert all(word in str(told.value) for word in ("vlan", "dns", "hostname"))
    with pytest.raises(LocalError, match="unknown field `vlans`"):
        read_plan(b'{"vlans": 1}')
