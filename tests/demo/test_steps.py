"""The demo's verdict: only what was verified counts."""

import asyncio
import io

import pytest

from appliance.demo.steps import StepFailed, Steps, print_summary
from appliance.demo.timeline import Timeline
from appliance.errors import Unavailable


async def holds() -> str:
    return "seen"


async def fails() -> str:
    raise StepFailed("bread", "stones")


async def breaks() -> str:
    raise Unavailable("nobody there")


def played(*works: object) -> tuple[Steps, str]:
    out = io.StringIO()
    timeline = Timeline(out)
    steps = Steps(timeline, [f"step {number}" for number in range(len(works))])

    async def play() -> None:
        for number, work in enumerate(works):
            if not await steps.run(f"step {number}", work):  # type: ignore[arg-type]
                return

    asyncio.run(play())
    print_summary(timeline, steps.summary())
    return steps, out.getvalue()


def test_all_verified_is_a_success() -> None:
    steps, told = played(holds, holds)
    assert steps.verified
    assert told.count("verified") == 2


@pytest.mark.parametrize(("work", "told"), [(fails, "bread"), (breaks, "nobody there")])
def test_one_failed_step_is_a_failure_and_says_why(work: object, told: str) -> None:
    steps, printed = played(holds, work, holds)
    assert not steps.verified
    assert [row.outcome for row in steps.summary()] == ["verified", "failed", "not reached"]
    assert told in printed


def test_nothing_done_is_no_success() -> None:
    assert not Steps(Timeline(io.StringIO()), ["one"]).verified


def test_a_step_that_was_not_announced_is_a_mistake_of_ours() -> None:
    steps = Steps(Timeline(io.StringIO()), ["one"])
    with pytest.raises(ValueError, match="not announced"):
        asyncio.run(steps.run("two", holds))
