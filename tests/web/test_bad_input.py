"""Whatever is sent to the API as documented or against it: an answer of the document, never 500."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.house import TOKEN, House, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "admin-api.openapi.json"
api = schemathesis.openapi.from_path(str(DOCUMENT))
ENDLESS = "/api/v1/events"
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS")  # to ourselves


def no_fault_of_ours(context: Any, response: Any, case: Any) -> None:
    """503 is an answer: this house has no cloud and no directory."""
    assert response.status_code != 500


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A house in a thread of its own: schemathesis asks from this one."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def script(house: House) -> None:
        found.append(house.url)
        ready.set()
        while not over.is_set():
            await asyncio.sleep(0.02)

    folder = tmp_path_factory.mktemp("house")
    thread = threading.Thread(target=run, args=(folder, script))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    over.set()
    thread.join()


@api.exclude(path=ENDLESS).parametrize()
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: Any, url: str) -> None:
    case.call_and_validate(
        base_url=url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        verify=False,
        checks=[no_fault_of_ours, status_code_conformance, response_schema_conformance],
    )
