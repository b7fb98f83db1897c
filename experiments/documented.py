"""The tables of README and documentation, and what zoos say of themselves, made of the tables in results/: no
number is copied by hand.

python experiments/documented.py

A page has a line `<!-- made: NAME -->` before each, and `<!-- end -->` behind it; what stands between them is
written anew: the table, where it comes from, and why that is stale, if it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from documented_tables import RESULTS, TABLES, provenance, zoo_lines
from study import guarded

from jscc_sim.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- made: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write them."""
    for path in pages():
        before = path.read_text()
        after = rewritten(before, path.parent)
        if after != before:
            path.write_text(after)
            print(path.relative_to(ROOT))
    for zoo, line in zoo_lines().items():
        path = ROOT / "models" / zoo / "manifest.json"
        manifest = json.loads(path.read_text())
        if manifest["measured"] != [line]:
            path.write_text(json.dumps(manifest | {"measured": [line]}, indent=2) + "\n")
            print(path.relative_to(ROOT))


def pages() -> list[Path]:
    """Those that hold any."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [path for path in found if "<!-- made" in path.read_text() or "<!--made" in path.read_text()]


def rewritten(text: str, folder: Path) -> str:
    """A page of a folder with its tables as they should be. Raises InputError for one that nobody makes, and
    for a line that begins or ends none."""
    results = os.path.relpath(RESULTS, folder)
    begun, ended, whole = (
        len(re.findall("<!-- *made", text)),
        text.count("<!-- end"),
        len(BLOCK.findall(text)),
    )
    if not begun == ended == whole:
        raise InputError(
            f"a page has {begun} lines `made`, {ended} lines `end` and {whole} tables between them"
        )

    def made(block: re.Match[str]) -> str:
        if block[2] not in TABLES:
            raise InputError(f"no table {block[2]} is made here, but {', '.join(TABLES)}")
        maker, names = TABLES[block[2]]
        links = ", ".join(f"[{Path(name).stem}]({results}/{name})" for name in names)
        return f"{block[1]}{maker()}\n\nFrom {links}. {stale(names)}".rstrip() + "\n" + block[3]

    return BLOCK.sub(made, text)


def stale(names: Sequence[str]) -> str:
    """Why some of these tables are, in a sentence; empty if none is."""
    told = [provenance(Path(name).stem) for name in names]
    reasons = dict.fromkeys(str(made["stale"]).partition(";")[0] for made in told if "stale" in made)
    return f"(Stale: {'; '.join(reasons)}.)" if reasons else ""


if __name__ == "__main__":
    guarded(main)
