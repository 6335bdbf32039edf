"""A core that answers commands from a script, for tests of the processes that ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.bundle import decode
from appliance.bundle.dscp import in_force
from appliance.call.record import CallRecord
from appliance.errors import LocalError, Unavailable
from tests.messages import messages


def record(name: str, **more: Any) -> CallRecord:
    plain = {"site": "hq", "mode": "survivability", "caller": "1001", "callee": "1002"}
    rest = {"started": 1000.0, "outcome": "answered", "status": 200}
    return msgspec.convert(plain | rest | {"id": name} | more, CallRecord)


STATUS: dict[str, Any] = {
    "mode": "standby",
    "since": 1000.0,
    "reason": "both zones answer",
    "uptime": 12.0,
    "zones": [
        {
            "id": "primary",
            "host": "a.example",
            "transport": "TLS",
            "state": "up",
            "since": 1000.0,
            "reason": "",
            "rtt": 0.0123,
            "last_failure": None,
            "history": [{"at": 1001.0, "rtt": 0.0123}, {"at": 1006.0, "rtt": None}],
        }
    ],
    "phones": {"registered": 1, "expected": 2},
    "users": {"registered": 1, "total": 2},
    "calls": 1,
    "bundle": {"version": 1, "site": "hq", "issued": ""},
    "records": {"pending": 3},
    "certificates": {
        "sbc1.example.net": {
            "names": ["sbc1.example.net"],
            "issuer": "CN=Example CA",
            "expires": 2_500_000_000.0,
        }
    },
    "guard": {"banned": [{"source": "192.0.2.7", "seconds": 900, "username": "1001"}]},
}
PHONES: list[dict[str, Any]] = [
    {
        "user": "a",
        "name": "Zoë",
        "extension": "1001",
        "registered": True,
        "contact": "sip:1001@192.0.2.1",
        "transport": "UDP",
        "address": "192.0.2.1",
        "port": 5060,
        "user_agent": "phone\x1b[31m",
        "expires_in": 90,
        "reachable": True,
    },
    {"user": "b", "name": "Bo", "extension": "1002", "registered": False},
]
CALLS = [
    {
        "id": "c1",
        "caller": "1001",
        "callee": "1002",
        "answered_by": "1002",
        "state": "answered",
        "parked": "",
        "started": 1000.0,
        "answered": 1002.0,
        "steps": ["ring 1002"],
        "from_caller": {
            "packets": 500,
            "octets": 86_000,
            "dropped": 3,
            "refused": 0,
            "quality": {
                "source": "rtcp",
                "codec": "PCMU",
                "loss": 0.0123,
                "loss_max": 0.05,
                "jitter": 0.0021,
                "jitter_max": 0.004,
                "delay": 0.0101,
                "bitrate": 68_800.0,
                "mos": 4.21,
            },
        },
        "from_callee": None,
    }
]
HISTORY = [
    {
        "at": 1000.0,
        "before": "recovering",
        "after": "standby",
        "reason": "stable for 300 s",
        "evidence": [],
    },
    {
        "at": 900.0,
        "before": "survivability",
        "after": "recovering",
        "reason": "primary answers",
        "evidence": [],
    },
]


EVIDENCE = [
    {
        "at": 890.0,
        "zone": "primary",
        "layer": "certificate",
        "kind": "expired",
        "verdict": "The certificate of zone primary has expired",
        "advice": "Ask the cloud's operator for a new one.",
        "steps": [
            {
                "layer": "link",
                "verdict": "ok",
                "kind": "",
                "text": "signal on eth0",
                "seconds": 0.0,
            },
            {
                "layer": "dns",
                "verdict": "skipped",
                "kind": "",
                "text": "an address",
                "seconds": 0.0,
            },
            {
                "layer": "certificate",
                "verdict": "fail",
                "kind": "expired",
                "text": "192.0.2.80:5091: certificate has expired",
                "seconds": 0.02,
            },
        ],
    }
]
FORWARDING: dict[str, Any] = {
    "user": "a",
    "name": "Zoë",
    "extension": "1001",
    "in_force": {"no_answer": "1002", "no_answer_after": 20.0},
    "in_bundle": {"always": "1003", "no_answer": "1002", "no_answer_after": 20.0},
    "set_on_phone": {"always": "", "do_not_disturb": False},
}


TRUNK: dict[str, Any] = {
    "sbcs": [
        {
            "sbc": "pstn/sbc1.example.net:5061",
            "route_group": "pstn",
            "transport": "TLS",
            "priority": 1,
            "weight": 1,
            "max_calls": 60,
            "drained": False,
            "address": "198.51.100.1:5061",
            "state": "down",
            "reason": "certificate has expired",
            "calls": 0,
            "since": 1000.0,
            "rtt": None,
        }
    ],
    "stopped": [{"user": "a", "until": 2000.0, "reason": "more than 10 international calls"}],
}


PEERS: list[dict[str, Any]] = [
    {
        "site": "east",
        "code": "82",
        "host": "holdfast.east.example.com",
        "port": 5061,
        "srtp": "required",
        "numbers": "+1414555",
        "state": "up",
        "since": 1000.0,
        "reason": "answers",
        "rtt": 0.012,
        "mode": "standby",
        "mode_since": 900.0,
        "mode_at": 1100.0,
        "drained": False,
        "calls": 2,
        "way": "trunk",
        "addresses": ["198.51.100.82 up"],
        "last_error": None,
        "certificate": {
            "names": ["holdfast.east.example.com"],
            "issuer": "CN=Example CA",
            "expires": 4102444800.0,
        },
    },
    {
        "site": "north",
        "code": "83",
        "host": "holdfast.north.example.com",
        "port": 5061,
        "srtp": "required",
        "numbers": None,
        "state": "down",
        "since": 1000.0,
        "reason": "certificate has expired",
        "rtt": None,
        "mode": None,
        "mode_since": None,
        "mode_at": None,
        "drained": False,
        "calls": 0,
        "way": "none",
        "addresses": ["198.51.100.83 down"],
        "last_error": {"at": 1000.0, "text": "certificate has expired"},
        "certificate": None,
    },
]


NOTICES = [
    {"at": 1000.0, "severity": "alarm", "topic": "store.disk", "text": "the disk is full"},
    {"at": 1001.0, "severity": "info", "topic": "core.start", "text": "serving"},
]
EMERGENCY: dict[str, Any] = {
    "numbers": ["911", "933"],
    "ways": [
        {"sbc": "pstn/sbc1:5061", "well": True, "full": True},
        {"sbc": "pstn/sbc2:5061", "well": False, "full": False},
    ],
    "safety_team": [{"extension": "1002", "name": "Bo", "phones": 1}],
    "safety_group": "7000",
    "callback_seconds": 7200.0,
    "callbacks": [
        {
            "number": "+13125550800",
            "extension": "1001",
            "name": "Zoë",
            "proved": False,
            "address": "192.0.2.1",
            "location": "hall",
            "called": 1000.0,
            "until": 8200.0,
        }
    ],
}
TRIAL: dict[str, Any] = {
    "caller": "Zoë (1001)",
    "address": "192.0.2.1",
    "number": "911",
    "test": False,
    "location": "hall",
    "where": "Hall, 1 Main St",
    "why_there": "192.0.2.1 is in 192.0.2.0/24",
    "shown": "+13125550800",
    "why_shown": "the number of Hall",
    "leads_back": True,
    "ways": EMERGENCY["ways"],
    "alerted": ["1002"],
}


READINESS = [
    {
        "user": "a",
        "name": "Zoë",
        "extension": "1001",
        "device": "d1",
        "model": "Desk 7",
        "mac": "",
        "tier": "normal",
        "verdict": "ready",
        "reasons": [],
        "seen_at": 1000.0,
        "address": "192.0.2.1",
    },
    {
        "user": "b",
        "name": "Bo",
        "extension": "1002",
        "device": "",
        "model": "",
        "mac": "",
        "tier": "normal",
        "verdict": "not_ready",
        "seen_at": None,
        "address": "",
        "reasons": [
            {"code": "no_credentials", "text": "no password has come"},
            {"code": "never_seen", "text": "no phone has ever come here"},
        ],
    },
]


class FakeCore:
    """Fulfils `ports.Commands`; `away` and `refusal` make it fail, `asked` tells what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.away = False
        self.refusal = ""
        self.mode = "standby"
        self.status = STATUS
        self.page: Any = {"total": len(PHONES), "rows": PHONES}
        self.calls: Any = CALLS
        self.drill: Any = None
        self.messages: dict[str, Any] = {"c1": messages()}
        self.sites: list[dict[str, Any]] | None = None
        self.qos: Any = in_force(None)
        self.version: int | None = None
        self.waiting: list[CallRecord] = []
        self.done: list[CallRecord] = []

    async def call(self, name: str, /, **arguments: Any) -> Any:
        self.asked.append((name, arguments))
        if self.away:
            raise Unavailable("core.sock: No such file; is it running?")
        answer = self._answer(name, arguments)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(answer))

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "bundle.apply":
            return self._apply(arguments["path"])
        if name == "bundle.info":
            return {"version": self.version} if self.version else None
        if name == "mode":
            told = {"mode": self.mode, "since": 1000.0, "reason": "both zones answer"}
            more = {"test_scope": "1001"} if self.mode == "testing" else {}
            return told | more | {"next_drill": self.drill}
        if name == "calls.messages":
            return self.messages.get(arguments["id"])
        if name == "records":
            return self._records(**arguments)
        if name == "records.pending":
            return self.waiting[: arguments["limit"]]
        if name == "records.uploaded":
            return self._uploaded(set(arguments["ids"]))
        if name == "forwardings.reset":
            return FORWARDING | {"changed": arguments["extension"] == "1001"}
        if name == "qos":
            return self.qos
        if name == "emergency.trial":
            return TRIAL | ({"number": arguments["number"]} if arguments["number"] else {})
        if name == "emergency.alerts":
            return {"webhook": "", "alerts": []}
        if name == "emergency":
            return EMERGENCY
        fixed = {
            "phones": PHONES,
            "calls": self.calls,
            "mode.history": HISTORY,
            "evidence": EVIDENCE,
            "status": self.status,
        }
        if name.startswith("trunk"):
            return TRUNK
        if name == "store.snapshot":
            return {}
        if name == "park.return":
            if arguments["orbit"] != "7701":
                raise LocalError("no call is parked there")
            return {"orbit": "7701"}
        if name.startswith("peers"):
            return PEERS if self.sites is None else self.sites
        if name == "forwardings":
            return [FORWARDING]
        if name == "readiness.part":
            return {"lines": READINESS, "next": None}
        if name == "phones.page":
            return self.page
        if name == "test.begin":
            return self._begin_test(**arguments)
        if name == "test.end":
            self.mode = "standby"
            return {"mode": "standby", "since": 1000.0, "reason": "test ended", "test_of": []}
        if name == "notices":
            return NOTICES
        if name == "zones":
            return STATUS["zones"]
        if name not in fixed:
            raise LocalError(f"unknown command {name!r}")
        return fixed[name]

    def _begin_test(self, seconds: float, who: list[str], by: str) -> Any:
        if "9999" in who:
            raise LocalError("'9999' is no extension, phone or group of this site")
        self.mode = "testing"
        told = {"mode": "testing", "since": 1000.0, "reason": f"test asked for by {by}"}
        return told | {"test_of": who, "test_scope": ", ".join(who) or "the site"}

    def _apply(self, path: str) -> None:
        if self.refusal:
            raise LocalError(self.refusal)
        self.version = decode(Path(path).read_bytes()).version

    def _records(
        self,
        limit: int,
        since: float | None = None,
        call_id: str | None = None,
        until: float | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        found = [
            msgspec.to_builtins(one) | {"uploaded": None}
            for one in self.waiting
            if call_id in (None, one.id) and (since or 0) <= one.started <= (until or 1e12)
        ]
        return found[offset : offset + limit]

    def _uploaded(self, ids: set[str]) -> None:
        self.done += [one for one in self.waiting if one.id in ids]
        self.waiting = [one for one in self.waiting if one.id not in ids]
