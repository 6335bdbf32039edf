"""Effects: sockets, TLS, SQLite, DNS, Unix sockets."""
