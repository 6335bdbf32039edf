"""Whom one can call: the directory of a site, searched by people, the API and desk phones (C3)."""
