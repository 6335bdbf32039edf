"""Survivability distribution groups."""
