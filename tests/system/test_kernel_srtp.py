"""SRTP that two phones can do between themselves passes through the kernel, as it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.system.secure_phone import LENGTHS, SecurePhone
from tests.system.site import System, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("site"), 2, policies=POLICIES) as system:
        yield system


@pytest.fixture(scope="module")
def phones(site: System) -> Iterator[tuple[SecurePhone, SecurePhone]]:
    one, other = SecurePhone(site.phone(0), "101", 500), SecurePhone(site.phone(1), "102", 700)
    assert other.account.register(300).status == 200
    yield one, other
    one.close()
    other.close()


@contextmanager
def without_media(site: System) -> Iterator[None]:
    """Let the media process do nothing for a while."""
    pids = site.processes("media")
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("suite", LENGTHS)
def test_audio_of_each_suite_passes_without_the_media_process(
    site: System, phones: tuple[SecurePhone, SecurePhone], suite: str
) -> None:
    one, other = phones
    with ThreadPoolExecutor(2) as threads:
        answering = threads.submit(other.answer_call, suite)
        assert one.call("102", suite).status == 200
        answering.result()
        until(lambda: site.kernel_flows() == 4, 10, "the kernel has the call", site.evidence)
        with without_media(site):
            heard = threads.submit(one.hears, other.tone, 0.5)
            assert other.hears(one.tone, 0.5)
            assert heard.result()
        ending = threads.submit(other.let_go)
        one.hang_up()
        ending.result()
    assert one.refused == other.refused == 0
    until(lambda: site.kernel_flows() == 0, 10, "nothing is left in the kernel", site.evidence)


def test_the_records_say_that_packets_passed(site: System) -> None:
    rows = site.holdfast("records")
    assert len(rows) == len(LENGTHS)
    shown = [str(row["steps"]) for row in sorted(rows, key=lambda row: row["started"])]
    for suite, steps in zip(LENGTHS, shown, strict=True):
        assert f"{suite}, passed" in steps
