"""Builds what is installed: the Debian package, and the virtual machine's image from it."""
