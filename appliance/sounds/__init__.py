"""The sounds that ship with Holdfast, how they are made, and how a site's own are prepared."""
