"""Torch networks and the banks of coders that are built from them."""
