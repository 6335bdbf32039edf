"""Every transport over IPv4 and IPv6."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.network import APPLIANCE, APPLIANCE_6
from tests.system.sip import PORTS, Line
from tests.system.site import System, site_in_outage


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("families"), 1) as system:
        yield system


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("address", [APPLIANCE, APPLIANCE_6])
@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
def test_a_phone_registers(site: System, transport: str, address: str, algorithm: str) -> None:
    line = Line(site.phone(0), transport, (address, PORTS[transport]))
    phone = site.account("105", line)
    phone.algorithm = algorithm
    answer = phone.register()
    assert answer.status == 200
    assert any(line.own in contact for contact in answer.all("Contact"))
    assert phone.register(expires=0).status == 200
    line.close()
