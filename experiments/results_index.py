"""What made each table in results/, and which of them are stale: results/README.md.

python experiments/results_index.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).resolve().parent.parent / "results"
MOST_COMMITS = 3

HEAD = """# Results

What each file of this folder was made with. The `.json` beside a table has its provenance in full. A table
that is *stale* was measured before a change that moves its figures, and says so; of the others, those of
transmissions are sent again by the tests, a row each (`tests/test_replay.py`, with JSCC_SIM_KODAK set to the
folder of the pictures). Hours are those of its transmissions, one after the other. Made by `python
experiments/results_index.py`.

| table | command | code | when | on what | hours | state |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write it."""
    path = RESULTS / "README.md"
    path.write_text(index(RESULTS))
    print(path)


def index(folder: Path) -> str:
    """The page of a folder: a line for each JSON in it, and why some are stale."""
    tables: dict[str, dict[str, Any]] = {
        path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
    }
    reasons = list(dict.fromkeys(made["stale"] for made in tables.values() if "stale" in made))
    lines = []
    for name, made in tables.items():
        state = f"stale [{reasons.index(made['stale']) + 1}]" if "stale" in made else ""
        code = _code(made.get("git_commit", []))
        when, where = (made.get(what, "not recorded") for what in ("date", "machine"))
        hours = _hours(folder / f"{name}.csv")
        lines.append(f"| {name} | `{made['command']}` | {code} | {when} | {where} | {hours} | {state} |\n")
    notes = [f"\n[{number}] {reason[:1].upper()}{reason[1:]}.\n" for number, reason in enumerate(reasons, 1)]
    return HEAD + "".join(lines + notes)


def _hours(table: Path) -> str:
    """Of its transmissions; empty where it is of none."""
    columns = pd.read_csv(table, nrows=0).columns if table.exists() else ()
    return f"{pd.read_csv(table)['seconds'].sum() / 3600:.2f}" if "seconds" in columns else ""


def _code(commits: list[str]) -> str:
    if not commits:
        return "not recorded"
    shown = [commit[:7] + "-dirty" * commit.endswith("-dirty") for commit in commits[:MOST_COMMITS]]
    more = len(commits) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


if __name__ == "__main__":
    main()
