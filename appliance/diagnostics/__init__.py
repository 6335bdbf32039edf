"""Checks an admin runs, one file per check; and what is looked at by itself when a zone fails."""
