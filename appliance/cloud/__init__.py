"""The cloud side: bundles come down, call records go up."""
