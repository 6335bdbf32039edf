"""SIP (RFC 3261) without I/O: messages, framing, transactions, dialogs, digest."""
