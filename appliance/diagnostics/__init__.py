"""Checks an admin runs; one file per check."""
