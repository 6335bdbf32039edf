"""Calls for help: where the caller is, what is shown, who is told, and the way back (E6-E8)."""
