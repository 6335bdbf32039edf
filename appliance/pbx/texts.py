"""Phones show that the site serves itself, and when that is over (A5; SIP MESSAGE, RFC 3428).

Phones register here only once the site serves itself, so each gets its text when it has registered.
Each is sent one text for an outage and one for its end, at a pace, and none any more once it has
refused one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.bundle import Texts
from appliance.call.asked import Asked
from appliance.pbx.location import Binding, Location
from appliance.pbx.pager import page
from appliance.pbx.survival import Mode
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Request, Response
from appliance.sip.timers import Timer, TimerQueue

SERVING: frozenset[Mode] = frozenset(("survivability", "recovering"))
"""Modes of an outage; a test is none, so that nobody is alarmed by it."""
FIRST_AFTER = 1.0
"""Seconds after a phone has registered: it has its 200 by then, and is done with starting."""
REMEMBERED = 50_000
"""Phones of which is known what they were sent, whatever address they have now."""
PASSING = (408, 480, 486, 500, 503, 504, 600)
"""Failures that say nothing of whether a phone takes texts."""

Answered = Callable[[Response | None, int, float], None]
Phone = tuple[str, str]
"""A phone, however often it registers: its user, and what it says of itself."""


class TextSender:
    """Send each phone its text."""

    def __init__(
        self,
        timers: TimerQueue,
        transactions: Transactions,
        identifiers: Identifiers,
        location: Location,
    ) -> None:
        self._timers = timers
        self._transactions = transactions
        self._identifiers = identifiers
        self._location = location
        self._texts = Texts()
        self._domain = ""
        self._extensions: dict[str, str] = {}
        self.outage = False
        self._waiting: dict[int, Binding] = {}
        """In the order in which they are sent something, by identity."""
        self._told: dict[Phone, None] = {}
        """Phones that were sent the text of this outage."""
        self._refused: dict[Phone, None] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def apply(self, texts: Texts, domain: str, extensions: dict[str, str], mode: Mode) -> None:
        """Take what a new bundle says; `extensions` are those of the users, by id."""
        self._texts, self._domain, self._extensions = texts, domain, extensions
        self.outage = mode in SERVING

    def registered(self, binding: Binding, now: float) -> None:
        """Take a phone that has registered anew."""
        phone = _phone(binding)
        binding.told = phone in self._told
        binding.no_texts = phone in self._refused
        self._line_up((binding,), now)

    def restored(self, now: float) -> None:
        """Go on where the last process was."""
        for binding in self._location:
            _note(self._told, binding, binding.told)
            _note(self._refused, binding, binding.no_texts)
        self._line_up(self._location, now)

    def mode_changed(self, mode: Mode, now: float) -> None:
        """Tell everybody who does not know."""
        self.outage = mode in SERVING
        if not self.outage:
            self._told.clear()
        self._line_up(self._location, now)

    def _line_up(self, bindings: Iterable[Binding], now: float) -> None:
        self._waiting.update((id(one), one) for one in bindings if self._due(one))
        if self._waiting and self._timer is None:
            self._timer = self._timers.arm(now + FIRST_AFTER, self._next)

    def _due(self, binding: Binding) -> bool:
        return not binding.no_texts and binding.told is not self.outage

    def _next(self, now: float) -> None:
        """Send the next text that is still due, and wait for a moment if there are others."""
        self._timer = None
        while self._waiting:
            key = next(iter(self._waiting))
            binding = self._waiting.pop(key)
            there = binding in self._location.reachable(binding.user)
            if there and self._due(binding) and self._tell(binding, now):
                break
        if self._waiting:
            self._timer = self._timers.arm(now + 1 / self._texts.per_second, self._next)

    def _tell(self, binding: Binding, now: float) -> bool:
        """Note what a phone is told, and send it; return whether there was anything to send."""
        text = self._texts.outage if self.outage else self._texts.over
        if not text and self.outage:
            return False
        binding.told = self.outage
        _note(self._told, binding, binding.told)
        self._location.save(binding)
        if not text:
            return False
        request = self._message(binding, text)
        self._transactions.request(request, binding.flow, now, Asked(self._answerer(binding)))
        return True

    def _answerer(self, binding: Binding) -> Answered:
        def answered(response: Response | None, status: int, now: float) -> None:
            if response is None or status < 300 or status in PASSING:
                return
            binding.no_texts = True
            _note(self._refused, binding, True)
            if binding in self._location.of_user(binding.user):
                self._location.save(binding)

        return answered

    def _message(self, binding: Binding, text: str) -> Request:
        extension = self._extensions.get(binding.user, binding.user)
        sender = f'"Holdfast" <sip:holdfast@{self._domain}>'
        recipient = f"<sip:{extension}@{self._domain}>"
        return page(binding.target, sender, recipient, text.encode(), self._identifiers)


def _phone(binding: Binding) -> Phone:
    """Return what names a phone; a new port or connection is no new phone."""
    return binding.user, binding.instance or f"{binding.flow.remote[0]} {binding.user_agent}"


def _note(phones: dict[Phone, None], binding: Binding, so: bool) -> None:
    """Remember a phone, and forget the one that was noted first where there are too many."""
    if so:
        phones[_phone(binding)] = None
        if len(phones) > REMEMBERED:
            del phones[next(iter(phones))]
