"""Every exception that Holdfast raises on purpose.

HoldfastError
├── RemoteError      somebody else's fault: carries the SIP status to answer with
│   └── BadMessage   octets that are no SIP message (in sip/framing)
├── LocalError       our own fault or an admin's: a wrong setting, a broken file, a bug caught
└── Unavailable      the world's fault: a server, disk or process that does not answer now
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Base of everything below; catch it only at the edge."""


class RemoteError(HoldfastError):
    """Report a message that its sender has to mend."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        """The SIP status that tells the sender, 400 to 699."""
        self.reason = reason
        """One sentence an operator wants to read."""
        self.headers = headers
        """Header fields that belong into the answer, such as Unsupported to a 420."""


class LocalError(HoldfastError):
    """Report something that an admin or we ourselves have to mend."""


class Unavailable(HoldfastError):
    """Report something outside that does not answer now and may later."""
