"""Figures of Holdfast beside its peers, measured in the same run on the same cores."""
