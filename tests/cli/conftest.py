"""An admin process for the tests of commands: one for each module, clean for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.cli.appliance import Appliance


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with closing(Appliance(tmp_path_factory.mktemp("appliance"))) as made:
        yield made


@pytest.fixture
def appliance(shared: Appliance, monkeypatch: pytest.MonkeyPatch) -> Appliance:
    """The appliance, with nothing left of the test before."""
    shared.core.away = False
    shared.core.mode = "standby"
    shared.core.waiting = []
    for name in ("HOLDFAST_SETTINGS", "HOLDFAST_DATA", "HOLDFAST_RUN"):
        monkeypatch.delenv(name, raising=False)
    return shared
