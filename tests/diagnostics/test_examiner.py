"""Checks are run within their time, some at once, and whatever happens is a result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.checks import CHECKS
from appliance.diagnostics.examiner import AT_ONCE, KEPT, Examiner, perform
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings

OUTWARD = ("gateway", "names", "dhcp", "doubled", "double-nat")
"""Checks that would ask this machine's own network, which is nobody's to test with."""


async def ask(name: str, **arguments: Any) -> Any:
    raise Unavailable("core is away")


AROUND = Surroundings(Settings(data=Path("/nonexistent")), None, ask)


def check(
    name: str, run: Callable[[Surroundings], Awaitable[Outcome]], limit: float = 5.0
) -> Check:
    return Check(name, name.title(), "Looks.", limit, run)


async def fine(around: Surroundings) -> Outcome:
    return ok("fine", "a line")


async def broken(around: Surroundings) -> Outcome:
    raise ZeroDivisionError


async def away(around: Surroundings) -> Outcome:
    await around.ask("status")
    return ok("never")


async def slow(around: Surroundings) -> Outcome:
    await asyncio.sleep(60)
    return ok("never")


async def here() -> Surroundings:
    return AROUND


@pytest.mark.parametrize(
    ("run", "words"),
    [(broken, "a fault of Holdfast"), (away, "core is away"), (slow, "not done within 0.05 s")],
)
def test_what_goes_wrong_in_a_check_is_its_result(run: Any, words: str) -> None:
    result = asyncio.run(perform(check("a", run, 0.05), AROUND))
    assert result.verdict == "fail" and words in result.text and result.advice.endswith(".")


def test_one_that_fails_does_not_keep_the_others_from_being_run() -> None:
    async def script() -> None:
        checks = [check("a", broken), check("b", fine), check("c", away)]
        examiner = Examiner(here, checks, lambda: 50.0)
        run = examiner.start([], "ann")
        assert (run.checks, run.ended, examiner.latest) == (("a", "b", "c"), None, run)
        await examiner.done()
        assert [one.verdict for one in run.results] == ["fail", "ok", "fail"]
        assert (run.ended, run.verdict, run.running) == (50.0, "fail", [])

    asyncio.run(script())


def test_progress_is_seen_and_a_second_run_has_to_wait() -> None:
    async def script() -> None:
        gate = asyncio.Event()

        async def held(around: Surroundings) -> Outcome:
            await gate.wait()
            return ok("done")

        checks = [check("a", held), *(check(f"b{n}", fine) for n in range(AT_ONCE))]
        examiner = Examiner(here, checks)
        run = examiner.start([], "ann")
        while len(run.results) < AT_ONCE:
            await asyncio.sleep(0)
        assert run.running == ["a"] and run.ended is None
        with pytest.raises(LocalError, match="running already"):
            examiner.start([], "bob")
        gate.set()
        await examiner.done()
        assert [one.check for one in run.results] == ["a", "b0", "b1", "b2"]
        assert examiner.find(examiner.start(["b1"], "bob").id) is examiner.latest
        await examiner.done()

    asyncio.run(script())


def test_a_run_that_cannot_begin_ends_all_the_same() -> None:
    async def nowhere() -> Surroundings:
        raise PermissionError("bundle.json")

    async def script() -> None:
        examiner = Examiner(nowhere, [check("a", fine)], lambda: 9.0)
        run = examiner.start([], "ann")
        with pytest.raises(PermissionError):
            await examiner.done()
        assert (run.ended, run.results) == (9.0, [])
        assert examiner.start([], "ann") is examiner.latest
        await examiner.close()

    asyncio.run(script())


def test_only_the_latest_runs_are_kept_and_unknown_checks_refused() -> None:
    async def script() -> None:
        examiner = Examiner(here, [check("a", fine)])
        with pytest.raises(LocalError, match="no check 'z'; there are: a"):
            examiner.start(["z"], "ann")
        first = examiner.start([], "ann")
        for _ in range(KEPT):
            await examiner.done()
            examiner.start([], "ann")
        await examiner.done()
        assert examiner.find(first.id) is None

    asyncio.run(script())


def test_of_several_the_worst_speaks_and_all_are_evidence() -> None:
    told = together([ok("one", "  more"), warn("two", "Do."), not_applicable("three")], "all well")
    assert (told.verdict, told.text, told.advice) == ("warn", "two", "Do.")
    assert told.evidence == ("one", "  more", "two", "three")
    assert together([ok("one")], "all well").text == "all well"
    assert together([], "all well").verdict == "not_applicable"
    assert together([fail("x", "Do."), warn("y", "See.")], "").text == "x"


def test_every_check_of_ours_has_a_name_of_its_own_and_its_time() -> None:
    assert len({one.name for one in CHECKS}) == len(CHECKS)
    assert all(0 < one.limit <= 60 and one.about.endswith(".") for one in CHECKS)


def test_without_core_and_configuration_every_check_still_has_a_verdict() -> None:
    async def script() -> list[Any]:
        return [await perform(one, AROUND) for one in CHECKS if one.name not in OUTWARD]

    for result in asyncio.run(script()):
        assert "fault of Holdfast" not in result.text, result
        assert result.text and (result.advice or result.verdict in ("ok", "not_applicable"))
