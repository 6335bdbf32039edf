"""What came of a test: who had a phone here, who had none, and the calls that were made (A6)."""

from __future__ import annotations

from appliance.bundle import Bundle, User
from appliance.call.record import CallRecord
from appliance.pbx.people import People
from appliance.pbx.survival import SurvivalState

NAMED = 20
"""Users without a phone who are named one by one; the readiness of each tells why."""


class Attendance:
    """Watch one test after the other."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._calls = self._answered = 0
        self._whole = False
        """Whether the calls of the test were counted from its beginning: no restart came."""

    def begin(self) -> None:
        """Count anew: a test begins."""
        self._calls = self._answered = 0
        self._whole = True

    def took(self, record: CallRecord) -> None:
        """Count a call that is over."""
        if record.mode == "testing" and record.sealed:
            self._calls += 1
            self._answered += record.outcome == "answered"

    def told(self, bundle: Bundle, state: SurvivalState) -> str:
        """Return what came of the test that this state is of, in a line."""
        users = _expected(bundle, state.test_of)
        absent = [user.extension for user in users if not self._was_here(user, state.since)]
        here = f"{len(users) - len(absent)} of {len(users)} users had a phone here"
        if absent:
            more = len(absent) - NAMED
            here += f", not {', '.join(absent[:NAMED])}" + (f" and {more} more" * (more > 0))
        since = "" if self._whole else " since the restart"
        return f"{here}; {self._calls} calls{since}, {self._answered} answered"

    def _was_here(self, user: User, since: float) -> bool:
        if self._people.location.of_user(user.id):
            return True
        sighting = self._people.sightings.of(user.id)
        at = sighting.registered_at if sighting is not None else None
        return at is not None and at >= since


def _expected(bundle: Bundle, chosen: tuple[str, ...]) -> list[User]:
    """Return who should come in a test: the chosen, else everybody who can prove himself."""
    if chosen:
        wanted = frozenset(chosen)
        return [user for user in bundle.users if user.id in wanted]
    return [user for user in bundle.users if user.credentials]
