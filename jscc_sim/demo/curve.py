"""The second tab: a small sweep, and its curve while it grows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jscc_sim.api import load, plot, sweep
from jscc_sim.demo import markup
from jscc_sim.demo.chosen import choose
from jscc_sim.demo.numbers import NONE
from jscc_sim.demo.settings import Air, Scheme
from jscc_sim.errors import InputError, JsccError, counted, one_line
from jscc_sim.images import BUILTIN, write_picture
from jscc_sim.plots.table import Axis, format_value
from jscc_sim.sweeps import export_csv
from jscc_sim.units import check_snr_db, parse_cbr

MOST_POINTS = 24

COLUMNS = ("system", "policy", "zoo", "snr_db", "cbr_budget", "uses", "header_uses", "psnr_db", "ssim",
           "ms_ssim", "outage", "status")  # fmt: skip
"""Of the table that the page shows; the file has all of them."""


def points(axis: Axis, text: str) -> list[str]:
    """The values between commas. Raises InputError for what is no SNR, or no CBR, and for too many."""
    words = list(dict.fromkeys(filter(None, (word.strip() for word in text.split(",")))))
    if not 1 <= len(words) <= MOST_POINTS:
        raise InputError(f"{counted(len(words), 'value')}, where a curve here has 1 to {MOST_POINTS}")
    for word in words:
        if axis == "cbr":
            parse_cbr(word)
            continue
        try:
            check_snr_db(float(word))
        except ValueError:
            raise InputError(f"SNR {word!r} is no number of decibels") from None
    return words


def growing_curve(
    source: str, air: Air, schemes: Sequence[Scheme], axis: Axis, text: str, folder: Path
) -> Iterator[tuple[str, str | None]]:
    """(HTML, CSV file or None) after each value of the axis, which is `snr_db` or `cbr`. text: the values.
    The file, in `folder`, is there at the end. What goes wrong is said in the HTML."""
    try:
        yield from _growing(source, air, schemes, axis, text, folder)
    except JsccError as error:
        yield markup.whole(markup.error(one_line(error))), None


def _growing(
    source: str, air: Air, schemes: Sequence[Scheme], axis: Axis, text: str, folder: Path
) -> Iterator[tuple[str, str | None]]:
    words, chosen = points(axis, text), choose(source)
    systems = list(dict.fromkeys(scheme.spec(air.sender_snr_db) for scheme in schemes))
    note = markup.note(chosen.note)
    yield markup.whole(markup.progress(0, len(words), "loading"), note), None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store = Path(scratch) / "rows.sqlite"
        image = chosen.name
        if image not in BUILTIN:
            image = str(Path(scratch) / f"{Path(chosen.name).stem}.png")
            write_picture(chosen.pixels, image)
        for number, word in enumerate(words, 1):
            here = replace(air, snr_db=float(word)) if axis == "snr_db" else replace(air, cbr=word)
            sweep(image, snr_db=here.snr_db, cbr=here.cbr, systems=systems, channels=here.channel,
                  csi=here.csi or (), waveforms=here.waveform, seed=here.seed, store=store)  # fmt: skip
            bar = markup.progress(number, len(words), f"{number} of {counted(len(words), 'point')}")
            yield markup.whole(bar, note, _drawn(store, axis)), None
        target = Path(tempfile.mkdtemp(dir=folder)) / "sweep.csv"
        export_csv(store, target)
        done = markup.note(f"{counted(len(words), 'point')}; the table has a row for each frame.")
        yield markup.whole(done, note, _drawn(store, axis), _table(store)), str(target)


def _drawn(store: Path, axis: Axis) -> str:
    """The curve so far, or why there is none."""
    try:
        return markup.figure(plot(load(store), axis, width="full"), f"PSNR over {axis}")
    except InputError as error:
        return markup.error(one_line(error))


def _table(store: Path) -> str:
    rows = load(store)
    rows = rows[list(COLUMNS)].astype(object).where(rows[list(COLUMNS)].notna(), None)
    cells = [[NONE if value is None else format_value(name, value) for name, value in row._asdict().items()]
             for row in rows.itertuples(index=False)]  # fmt: skip
    return markup.table(COLUMNS, cells)
