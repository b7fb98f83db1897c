"""Versions of what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"


def version_of(distribution: str) -> str:
    """Of a distribution; UNKNOWN where it is only a folder on the path."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return UNKNOWN
