"""The `holdfast` command, one module per family."""
