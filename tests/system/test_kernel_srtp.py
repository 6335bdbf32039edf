"""SRTP that two phones can do between themselves passes through the kernel, as it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.system.secure_pair import Pair, phones, site
from tests.system.secure_phone import LENGTHS
from tests.system.site import System
from tests.system.waiting import until

__all__ = ["phones", "site"]


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
    site: System, phones: Pair, suite: str
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
