"""The demo takes the usual ports, or others where those are in use."""

import socket

from appliance.demo.ports import ADDRESS, _choose, choose_ports


def test_a_port_in_use_is_left_to_its_owner() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        usual = listener.getsockname()[1]
        found = _choose(usual, set())
    assert found != usual


def test_all_ports_differ_and_keep_clear_of_the_relay() -> None:
    ports = choose_ports()
    numbers = [ports.cloud, ports.primary, ports.secondary, ports.sip, ports.sips, ports.admin]
    assert len(set(numbers)) == len(numbers)
    assert not any(ports.relay[0] <= number <= ports.relay[1] for number in numbers)
