"""The HTTPS API, and later the web UI on it."""
