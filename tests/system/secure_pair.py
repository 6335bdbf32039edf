"""A site in its outage with two phones that protect their audio, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.secure_phone import SecurePhone
from tests.system.site import System, site_in_outage

Pair = tuple[SecurePhone, SecurePhone]
POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("site"), 2, policies=POLICIES) as system:
        yield system


@pytest.fixture(scope="module")
def phones(site: System) -> Iterator[Pair]:
    """101, whose tone is 500 Hz, and 102, registered, whose tone is 700 Hz."""
    one, other = SecurePhone(site.phone(0), "101", 500), SecurePhone(site.phone(1), "102", 700)
    assert other.account.register(300).status == 200
    yield one, other
    one.close()
    other.close()
