"""Call control without I/O: legs, calls, steps and plans."""
