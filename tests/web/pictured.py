"""A core of a made-up site, for pictures: everything lately, and much of it as it should be."""

from __future__ import annotations

import time
from typing import Any

from tests.fake_core import EMERGENCY, EVIDENCE, FORWARDING, NOTICES, TRUNK, FakeCore

HOUR, DAY = 3600.0, 86400.0
REASONS = {
    "doubtful": {"code": "never_seen", "text": "no phone of this user has ever come here"},
    "not_ready": {"code": "no_credentials", "text": "no password for the realm has come"},
}


class PicturedCore(FakeCore):
    """Answers with times of today; `users` are those of the bundle."""

    def __init__(self) -> None:
        super().__init__()
        self.users: tuple[Any, ...] = ()
        self._begun = time.time()

    def outage(self) -> dict[str, Any]:
        """Return the status a quarter of an hour into an outage."""
        failure = {"text": "TCP: connection refused", "layer": "tcp", "at": self._begun - 5}
        down = {"state": "down", "since": self._begun - 870, "rtt": None, "last_failure": failure}
        return self.status | {
            "mode": "survivability",
            "since": self._begun - 855,
            "reason": "every zone is down",
            "zones": [zone | down for zone in self.status["zones"]],
            "phones": {"registered": 40, "expected": 60},
            "users": {"registered": 40, "total": 60},
        }

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        told = super()._answer(name, arguments)
        if name == "mode":
            return told | {"since": self._begun - 7 * DAY}
        if name == "mode.history":
            times = (7 * DAY, 7 * DAY + 300, 7 * DAY + 2 * HOUR)
            rows = [*told, told[-1] | REASON_OF_OUTAGE]
            return [row | {"at": self._begun - ago} for row, ago in zip(rows, times, strict=True)]
        if name == "evidence":
            return [EVIDENCE[0] | {"at": self._begun - 7 * DAY - 2 * HOUR}]
        if name == "notices":
            return [one | {"at": self._begun - HOUR} for one in LATELY]
        if name == "readiness.part":
            return {"lines": list(map(self._judged, range(len(self.users)))), "next": None}
        if name == "emergency":
            called = {"called": self._begun - 600, "until": self._begun + 6600, "proved": True}
            callbacks = [EMERGENCY["callbacks"][0] | self._named(4) | called]
            team = [self._named(index) | {"phones": 1} for index in (0, 1)]
            return told | {"callbacks": callbacks, "safety_team": team}
        if name == "forwardings":
            return [FORWARDING | self._named(index) for index in (5, 11)]
        if name == "trunk":
            second = {"sbc": "pstn/sbc2.example.net:5061", "address": "198.51.100.2:5061"}
            well = {"state": "up", "reason": "answers", "calls": 2, "rtt": 0.018, "priority": 2}
            first = TRUNK["sbcs"][0] | {"since": self._begun - 2 * HOUR}
            healthy = first | second | well | {"since": self._begun - 9 * DAY}
            stopped = {"until": self._begun + HOUR, "reason": "more than 10 international calls"}
            return {"sbcs": [first, healthy], "stopped": [{"user": self.users[7].id, **stopped}]}
        return told

    def _named(self, index: int) -> dict[str, Any]:
        user = self.users[index]
        return {"user": user.id, "name": user.name, "extension": user.extension}

    def _judged(self, index: int) -> dict[str, Any]:
        verdict = {4: "not_ready", 9: "doubtful", 23: "doubtful"}.get(index, "ready")
        seen = {"seen_at": self._begun - index * HOUR, "address": f"192.0.2.{20 + index}"}
        phone = {"device": f"phone-{index}", "model": "Yealink T46U", "mac": f"02aa00{index:06x}"}
        never = {"seen_at": None, "address": ""} if verdict != "ready" else {}
        reasons = [REASONS[verdict]] if verdict in REASONS else []
        told = {"verdict": verdict, "reasons": reasons, "tier": "normal"}
        return {**self._named(index), **phone, **seen, **never, **told}


REASON_OF_OUTAGE = {
    "before": "standby",
    "after": "survivability",
    "reason": "every zone is down",
}
LATELY = [
    NOTICES[1],
    {**NOTICES[1], "topic": "bundle", "text": "version 12 is in force"},
    {
        "at": 0.0,
        "severity": "warning",
        "topic": "trunk",
        "text": "pstn/sbc1.example.net:5061 does not answer: certificate has expired",
    },
]
