"""What we say to phones by ourselves: announcements that ring, and texts (RFC 3428)."""

from __future__ import annotations

from collections.abc import Callable

from appliance.call.actions import Relay
from appliance.call.announcement import Announcement, Message
from appliance.call.asked import Asked
from appliance.call.context import CallContext
from appliance.call.events import Heard
from appliance.call.steps import Target
from appliance.pbx.pager import page

Over = Callable[[Announcement, str, float], None]


class OwnCalls:
    """Keep the announcements under way, so that what the media process tells finds them."""

    def __init__(self) -> None:
        self.context: CallContext | None = None
        """None: there is no site yet."""
        self._announcements: dict[str, Announcement] = {}

    def __len__(self) -> int:
        return len(self._announcements)

    def announce(self, target: Target, message: Message, over: Over, now: float) -> None:
        """Ring a phone and tell it something; `over` is told once what came of it."""
        if self.context is None:
            raise AssertionError("an announcement before there is a site")

        def ended(announcement: Announcement, word: str, now: float) -> None:
            self._announcements.pop(announcement.id, None)
            over(announcement, word, now)

        announcement = Announcement(self.context, target, message, ended)
        self._announcements[announcement.id] = announcement
        announcement.start(now)

    def text(self, target: Target, sender: str, text: str, now: float) -> None:
        """Send a text to a phone; whether it shows it is its own affair."""
        context = self.context
        if context is None:
            raise AssertionError("a text before there is a site")
        recipient = f"<sip:{target.extension}@{context.domain}>"
        request = page(target.uri, sender, recipient, text.encode(), context.identifiers)
        nobody = Asked(lambda response, status, now: None)
        context.transactions.request(request, target.flow, now, nobody)

    def heard(self, key: str, event: Heard, now: float) -> bool:
        """Take what a sound or key came to; return whether it is an announcement's."""
        announcement = self._announcements.get(key)
        if announcement is not None:
            announcement.heard(event, now)
        return announcement is not None

    def relay_failed(self, key: str, now: float) -> bool:
        """Take that an announcement has no audio; return whether it is one."""
        announcement = self._announcements.get(key)
        if announcement is not None:
            announcement.relay_failed(now)
        return announcement is not None

    @property
    def relays(self) -> list[Relay]:
        """Return every relay that must exist."""
        return [relay for one in self._announcements.values() for relay in one.relays]
