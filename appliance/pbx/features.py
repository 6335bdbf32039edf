"""What users do by dialling a code: forwarding and do-not-disturb, set on the phone (C10)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple

from appliance.bundle import User
from appliance.call.outside import Leaving, Outside
from appliance.call.steps import Collect, Note, Outcome, Plan, Play, Reject, Step
from appliance.pbx.dialplan import DialPlan, Emergency, Nowhere, ToFeature, ToUser
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.park import Parking
from appliance.pbx.pickup import DIRECTED, GROUP

DONE = 480
"""Ends a call of ours whose caller has heard all there is; it has been answered, so no phone is
told of it."""
BETWEEN = 5.0
"""Seconds to wait for another digit."""
LONGEST = 32
"""Digits that anybody dials."""
ENDS = "#"


PARK = "park"
"""Field of `bundle.FeatureCodes`."""
SPOKEN = {"*": "star", "#": "pound"}
"""Digits whose sound has another name."""


class Setting(NamedTuple):
    """What a code changes."""

    field: str
    """Of `OwnForwarding`."""
    value: str | bool | None
    """None: what is dialled behind the code."""
    says: str
    """Sound that confirms it."""


SETTINGS: Final[dict[str, Setting]] = {
    "forward_always": Setting("always", None, "forwarding-on"),
    "forward_always_off": Setting("always", "", "forwarding-off"),
    "forward_busy": Setting("busy", None, "forwarding-on"),
    "forward_busy_off": Setting("busy", "", "forwarding-off"),
    "forward_no_answer": Setting("no_answer", None, "forwarding-on"),
    "forward_no_answer_off": Setting("no_answer", "", "forwarding-off"),
    "forward_unreachable": Setting("unreachable", None, "forwarding-on"),
    "forward_unreachable_off": Setting("unreachable", "", "forwarding-off"),
    "do_not_disturb": Setting("do_not_disturb", True, "do-not-disturb-on"),
    "do_not_disturb_off": Setting("do_not_disturb", False, "do-not-disturb-off"),
}
"""By the field of `bundle.FeatureCodes`."""


class Features:
    """Make the plan of a call to a code."""

    def __init__(
        self,
        dialplan: DialPlan,
        forwardings: Forwardings,
        parking: Parking,
        outside: Outside,
    ) -> None:
        self._dialplan = dialplan
        self._forwardings = forwardings
        self._parking = parking
        self._outside = outside

    def plan(self, caller: User, feature: ToFeature, now: float) -> Plan:
        """Return the plan for what a user dialled; only users of the site have settings."""
        if feature.code in (DIRECTED, GROUP):
            return nothing_there("pickup-none", "there is no call to pick up")
        if feature.code == PARK:
            return self._park(caller, feature, now)
        return self._set(caller, feature, SETTINGS[feature.code], now)

    def _park(self, caller: User, feature: ToFeature, now: float) -> Plan:
        """Park whom the caller holds, and say where."""
        orbit = self._parking.free(feature.rest)
        if not orbit:
            yield from nothing_there("park-full", f"no orbit is free for {feature.rest or 'it'}")
        if not self._parking.park_held(caller.extension, orbit, now):
            yield Reject(404, "nobody is on hold who could be parked")
        digits = tuple(f"digit-{SPOKEN.get(digit, digit)}" for digit in orbit)
        yield Play(("parked-at", *digits), answer=True)
        yield Reject(DONE, f"a call waits at {orbit}")

    def _set(self, caller: User, feature: ToFeature, setting: Setting, now: float) -> Plan:
        value = setting.value
        if value is None:
            value = feature.rest or (yield from _digits())
            if fault := self._fault(caller, value, now):
                yield Note(f"not forwarded: {fault}")
                yield Play(("invalid-extension",), answer=True)
                yield Reject(404, fault)
        elif feature.rest:
            yield Reject(404, f"nothing is to be dialled behind {feature.dialled}")
        self._forwardings.set(caller, **{setting.field: value})
        shown = {"": "off", True: "on", False: "off"}.get(value, value)
        yield Note(f"{caller.extension} sets {setting.field.replace('_', ' ')}: {shown}")
        yield Play((setting.says,), answer=True)
        yield Reject(DONE, "the setting is saved")

    def _fault(self, caller: User, target: str, now: float) -> str:
        """Return why calls cannot be forwarded there, in words; empty: they can."""
        if not target:
            return "no extension was dialled"
        destination = self._dialplan.find(target)
        if isinstance(destination, ToUser) and destination.user.id == caller.id:
            return "calls cannot be forwarded to oneself"
        if isinstance(destination, Emergency):
            return "calls are not forwarded to an emergency number"
        if isinstance(destination, ToFeature):
            return f"{target} is a code and nobody's extension"
        if not isinstance(destination, Nowhere):
            return ""
        leaving = Leaving(dialled=target, caller=caller, payer=caller)
        return destination.reason if self._outside.plan(leaving, now) is None else ""


def nothing_there(sound: str, reason: str) -> Plan:
    """Tell a caller that what was dialled leads to no call now."""
    yield Note(reason)
    yield Play((sound,), answer=True)
    yield Reject(404, reason)


def _digits() -> Generator[Step, Outcome, str]:
    """Ask for an extension or number."""
    outcome = yield Collect(("dial-extension",), _patience)
    return outcome.keys.removesuffix(ENDS)


def _patience(keys: str) -> float:
    return 0.0 if keys.endswith(ENDS) or len(keys) >= LONGEST else BETWEEN
