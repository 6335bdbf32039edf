"""The machine itself: its network, its name, its keys, and the menu on its screen."""
