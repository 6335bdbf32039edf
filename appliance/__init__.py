"""Holdfast: the phone system that stays when the cloud is gone."""

__version__ = "0.1.0"
