"""Cells that a spreadsheet would take for a formula, quoted as spreadsheets quote them."""

from __future__ import annotations

FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def quoted(cell: str) -> str:
    """A text with an apostrophe before it, if it begins as a formula does, or as such a text."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULAS) else cell


def unquoted(cell: object) -> object:
    """The text that was quoted; anything else as it is."""
    if isinstance(cell, str) and cell.startswith("'") and cell.lstrip("'").startswith(FORMULAS):
        return cell[1:]
    return cell
