"""Phones hand their calls on at random while core is killed now and then: nothing is left over."""

from __future__ import annotations

import re

import pytest

from appliance.sip.dialog import Dialog
from tests.phones import DOMAIN
from tests.simulation.talkers import Talker
from tests.simulation.test_crashes import Site, check_that_nothing_is_left

HOURS = 0.1


class Mover(Talker):
    """A phone that transfers, to anybody and to itself, and sometimes hangs up at once."""

    handed_on = 0

    def _begin(self, dialog: Dialog, now: float) -> None:
        super()._begin(dialog, now)
        for _ in range(2):
            if self._dice.random() < 0.4:
                self._plan(dialog, now + 20 * self._dice.random(), self.transfer)

    def transfer(self) -> None:
        """Hand the other party on."""
        if self.dialog is None:
            return
        self.handed_on += 1
        target = f"<sip:{self._dice.randrange(1000, 1015)}@{DOMAIN}>"
        headers = [("Contact", self._contact()), ("Refer-To", target)]
        self._ask(self.dialog.new_request("REFER", headers))
        if self._dice.random() < 0.3:
            self.hang_up()


def overtaken(fault: str) -> bool:
    """Tell whether a request was only late: a BYE may pass a NOTIFY whose first copy was lost."""
    found = re.fullmatch(r"\w+ CSeq (\d+) came after (\d+)", fault)
    return found is not None and 0 < int(found[2]) - int(found[1]) <= 3


@pytest.mark.parametrize("seed", range(3))
def test_phones_transfer_at_random_and_nothing_is_left(seed: int) -> None:
    site = Site(seed + 200, kind=Mover)
    site.run(HOURS * 3600)
    site.end()
    for phone in site.phones.values():
        phone.faults = [fault for fault in phone.faults if not overtaken(fault)]
    check_that_nothing_is_left(site)
    steps = [step for record in site.box.records.values() for step in record.steps]
    assert sum("is replaced by" in step for step in steps) > 5
    assert sum(step.startswith("transfer failed") for step in steps) > 5
    assert any("back" in step for step in steps)
