"""The demo takes the usual ports, or others where those are in use."""

import socket

import pytest

from appliance.demo.ports import ADDRESS, Chooser, choose_ports


@pytest.mark.parametrize("address", [ADDRESS, "127.0.0.3"])
def test_a_port_in_use_is_left_to_its_owner(address: str) -> None:
    with socket.create_server((address, 0)) as listener:
        usual = listener.getsockname()[1]
        found = Chooser().port(usual, address)
    assert found != usual


def test_all_ports_differ_and_keep_clear_of_the_relays() -> None:
    chooser = Chooser()
    ports = choose_ports(chooser)
    numbers = [ports.cloud, ports.primary, ports.secondary, ports.sip, ports.sips, ports.admin]
    numbers += [ports.trunk, chooser.port(ports.trunk, "127.0.0.2")]
    assert len(set(numbers)) == len(numbers)
    other = chooser.relay()
    for first, last in (ports.relay, other):
        assert not any(first <= number <= last for number in numbers)
    assert other[1] < ports.relay[0] or ports.relay[1] < other[0]
