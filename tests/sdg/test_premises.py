"""Trials of a site: its bundle is indexed once, and no trial leaves anything to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import appliance.premises
import sdg.group
import sdg.visit
from appliance.bundle import Group
from appliance.dialling import dial
from appliance.premises import Premises
from appliance.rehearsal import Rehearsal, rehearse
from tests.pbx.office import ALICE, BOB, bundle

TEAM = Group(
    id="t",
    name="Team",
    extension="700",
    members=(ALICE.id, BOB.id),
    strategy="round_robin",
)
MENU = Group(id="m", name="Menu", extension="710", kind="menu", names_key="1")
SITE = msgspec.structs.replace(bundle(ALICE, BOB), groups=(TEAM, MENU))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell which indexes are built."""
    done: list[str] = []

    def noted(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *words: (done.append(name), plain(*words))[1]

    for module, name in (
        (appliance.premises, "Directory"),
        (appliance.premises, "DialPlan"),
        (appliance.premises, "Groups"),
        (sdg.group, "Grounds"),
        (sdg.visit, "Names"),
    ):
        monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    return done


def test_any_number_of_trials_index_the_bundle_once(built: list[str]) -> None:
    site = Premises(SITE)
    for extension in ("700", "710", "700"):
        rehearse(site, Rehearsal(extension, keys=("1",)), 0.0)
        dial(site, ALICE.extension, BOB.extension)
    assert sorted(built) == ["DialPlan", "Directory", "Grounds", "Groups", "Names"]


def test_what_is_dialled_alone_spells_no_names(built: list[str]) -> None:
    dial(Premises(SITE), ALICE.extension, "700")
    assert sorted(built) == ["DialPlan", "Directory"]


def test_a_trial_leaves_nothing_to_the_next() -> None:
    site = Premises(SITE)
    first = rehearse(site, Rehearsal("700"), 0.0)[2]
    gone = rehearse(site, Rehearsal("700", unregistered=(ALICE.extension, BOB.extension)), 0.0)[2]
    assert "ring 1001" in str(first) and "ring 1001" not in str(gone)
    assert rehearse(site, Rehearsal("700"), 0.0)[2] == first, "whose turn it is, too"
