"""The package in a few calls: send a picture, run a sweep, load, plot and report its rows, train.

Each takes names, as the command line does, or instances of anybody's classes.
"""

from __future__ import annotations

import glob
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import partial
from inspect import signature
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from jscc_sim import listings
from jscc_sim.allocation import AllocationPolicy
from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import AirTime, Channel, Received, Symbols, channel_name
from jscc_sim.complexity import ComplexityEstimator
from jscc_sim.errors import InputError, JsccError, one_line
from jscc_sim.images import BUILTIN, Picture, list_pictures, read_picture, write_picture
from jscc_sim.metrics import DEFAULT, Metric, Quality, load_metrics, measure, named
from jscc_sim.plugins import errors_named
from jscc_sim.systems.base import System
from jscc_sim.systems.catalogue import BLOCK_JSCC
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec, load_system
from jscc_sim.units import LARGEST_SEED, budget_uses, cbr_of, number, parse_cbr, whole
from jscc_sim.waveforms import OFDM, SYMBOLS, parse_link, waveform_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from jscc_sim.plots.table import Axis

AnyPicture = Picture | str | os.PathLike[str]
"""Pixels [H, W, 3] uint8, or the name of a file or of a built-in photograph."""

AnySystem = str | SystemSpec | System
AnyChannel = str | Channel

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sent:
    """One picture sent once, and what came of it.

    picture: what was received, [H, W, 3] uint8, mid-grey in an outage; original: what was sent; uses, of them
    header_uses, of a budget of budget_uses; cbr: as spent; allocation: [rows, columns] channel uses of each
    32x32 block, None where the system has no blocks; sent: [uses] complex64 symbols, and received: what the
    receiver measured of them, None where the system makes none; coder: what coded the frame, where a system
    has several; header_snr_db: what the header was made for; seconds: by stage; air: what the uses
    carried, data, pilots, prefix and preamble.
    """

    picture: Picture
    original: Picture
    label: str
    uses: int
    header_uses: int
    budget_uses: int
    cbr: float
    outage: bool
    quality: Quality
    allocation: NDArray[np.int64] | None
    ratios: tuple[int, ...]
    sent: Symbols | None
    received: Received | None
    coder: str
    header_snr_db: float | None
    papr_db: float | None
    seconds: Mapping[str, float]
    air: AirTime | None = None

    def __repr__(self) -> str:
        shown = {"uses": self.uses, "cbr": f"{self.cbr:.4f}", **self.metrics}
        words = [
            f"{name}={value:.4f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in shown.items()
        ]
        return f"Sent({self.label}: {', '.join(words)}{', OUTAGE' * self.outage})"

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Value of each metric by the column that tables have of it."""
        return self.quality.values

    @property
    def psnr_db(self) -> float | None:
        """None for equal pictures."""
        return self.quality.psnr_db

    def figure(self) -> Figure:
        """Original, allocation and reception, as `jscc-sim transmit --figure` draws them."""
        from jscc_sim.plots import Reconstruction, reception_figure

        index = None
        if self.allocation is not None:
            index = np.searchsorted(self.ratios, self.allocation.reshape(-1)).astype(np.int64)
        label, psnr_db = self.label, self.psnr_db
        shown = Reconstruction(
            label, self.picture, psnr_db, index, self.ratios, coder=self.coder, outage=self.outage
        )
        return reception_figure(self.original, [shown])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the received picture. Raises InputError."""
        write_picture(self.picture, path)


def transmit(
    picture: AnyPicture,
    *,
    snr_db: float,
    cbr: Real | str,
    system: AnySystem = BLOCK_JSCC,
    channel: AnyChannel = "awgn",
    csi: str = "",
    waveform: str | OFDM = SYMBOLS,
    zoo: str = "",
    policy: str | AllocationPolicy = "",
    complexity: str | ComplexityEstimator = "",
    equaliser: str = "mmse",
    side_info: str = "transmitted",
    companion: str = "",
    sender_snr_db: float | None = None,
    header_margin_db: float | None = None,
    precision: str = "fp32",
    device: str = "cpu",
    threads: int = 1,
    metrics: str | Sequence[str | Metric] = DEFAULT,
    seed: int = 0,
) -> Sent:
    """Send a picture once. snr_db: Es/N0, average under fading; cbr: budget, channel uses per colour sample,
    0.0625 or "1/16"; seed: of fading and noise. The others are the options of `jscc-sim transmit`, with which
    the same picture comes out. A spec or an instance of a system has its options already.

    Raises InputError for what cannot be used, BudgetError if no frame fits.
    """
    pixels, snr_db, share = _pixels(picture), number("snr_db", snr_db), _cbr(cbr)
    whole("seed", seed, 0, LARGEST_SEED)
    options = {
        "zoo": zoo,
        "policy": policy,
        "complexity": complexity,
        "equaliser": equaliser,
        "side_info": side_info,
        "companion": companion,
        "sender_snr_db": sender_snr_db,
        "header_margin_db": header_margin_db,
        "precision": precision,
        "device": device,
        "threads": threads,
    }
    asked = _spec(system, options)
    spec = asked.within(Path())
    made = spec.load()
    measured = load_metrics(_metrics(metrics))
    name = channel_name(channel) if isinstance(channel, Channel) else channel
    air = waveform_name(waveform)
    for what, value in (("channel", name), ("csi", csi)):
        if not isinstance(value, str):
            raise InputError(f"{what} = {value!r} is not a string" + " or a Channel" * (what == "channel"))
    truth = parse_link(name, snr_db, csi, air)
    with errors_named(type(made).__name__):
        made.check(truth)
    belief = truth if spec.sender_snr_db is None else truth.at(spec.sender_snr_db)
    height, width = pixels.shape[:2]
    budget = budget_uses(share, height, width)
    ready = load_system(spec, Fingerprint.of(made))
    sent = ready.transmit(pixels, truth, budget, np.random.default_rng(seed), belief)
    allocation = None
    if sent.index is not None and ready.ratios is not None:
        grid = BlockGrid(height, width)
        allocation = np.asarray(ready.ratios.uses)[sent.index].reshape(grid.rows, grid.columns)
    shown = asked.label
    return Sent(
        sent.picture,
        pixels,
        f"{shown.policy or shown.name}, {name} {truth.snr_db:g} dB, CBR {cbr}",
        sent.uses,
        sent.header_uses,
        budget,
        cbr_of(sent.uses, height, width),
        sent.outage,
        measure(sent.picture, pixels, measured),
        allocation,
        ready.ratios.uses if ready.ratios else (),
        sent.sent,
        sent.received,
        sent.coder,
        sent.header_snr_db,
        sent.papr_db,
        dict(sent.seconds),
        sent.air,
    )


def sweep(
    images: AnyPicture | Iterable[AnyPicture],
    *,
    snr_db: float | Sequence[float],
    cbr: Real | str | Sequence[Real | str],
    systems: AnySystem | Sequence[AnySystem] = BLOCK_JSCC,
    channels: AnyChannel | Sequence[AnyChannel] = "awgn",
    csi: str | Sequence[str] = (),
    waveforms: str | OFDM | Sequence[str | OFDM] = SYMBOLS,
    metrics: str | Sequence[str | Metric] = DEFAULT,
    repeats: int = 1,
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    workers: int = 1,
    device: str | None = None,
) -> pd.DataFrame:
    """Send every picture by every system over every channel at every SNR and CBR: a row each, as
    `jscc-sim export` has them, which `plot` and `report` take.

    images: a folder, a pattern such as "photos/**/*.png", files, names of built-in photographs, or pixels.
    channels: one that is an instance is taken at each SNR. store: SQLite file that the rows are kept in; what
    it has is not run again. workers: processes; with 1 the trials run in this one, with more a script calls
    this below `if __name__ == "__main__":`. device: of block-jscc's networks, see inference.Arithmetic;
    None for that of each system. Trials that fail, or that no frame fits, are rows, and said.
    Raises InputError.
    """
    from jscc_sim.sweeps import Given, Grid, LocalProcesses, run, table
    from jscc_sim.sweeps.executors import MOST_WORKERS

    workers = whole("workers", workers, 1, MOST_WORKERS)
    if store is not None:
        _check_path("store", store)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        grid = Grid(
            _images(images, scratch),
            _several(systems),
            _several(channels),
            _several(snr_db),
            [_cbr(value) for value in _several(cbr)],
            _several(csi),
            repeats,
            seed,
            _metrics(metrics),
            _several(waveforms),
        )
        trials = (grid if device is None else grid.on(device)).trials()
        kept = scratch / "rows.sqlite" if store is None else store
        here = stack.enter_context(ThreadPoolExecutor(1))
        outcome = run(
            trials,
            kept,
            Given(here) if workers == 1 else LocalProcesses(workers),
            progress=sys.stderr.isatty(),
        )
        for coordinates, error in outcome.failures:
            _log.warning("failed: %s: %s", coordinates, error)
        if outcome.infeasible:
            count, (coordinates, error) = len(outcome.infeasible), outcome.infeasible[0]
            _log.warning(
                "infeasible: %d of %d trials, such as %s: %s", count, len(trials), coordinates, error
            )
        rows = table(kept)
    keys = {trial.key for trial in trials}
    return rows[rows["key"].isin(keys)].reset_index(drop=True)


def load(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Rows of a sweep: of its store, or of a CSV that was made of it. Raises InputError."""
    from jscc_sim.plots.results_file import read_results

    _check_path("table", path)
    return read_results(path)


def plot(
    table: pd.DataFrame,
    x: Axis = "cbr",
    y: str = "psnr_db",
    *,
    out: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Figure:
    """Rows as a figure: y a metric's column, `gain_db` over uniform, or `outage`. out: a .pdf, .svg or .png
    to write. options: of `quality_figure`, `gain_figure`, `outage_figure` in `plots.curves`. Raises
    InputError."""
    from jscc_sim.plots import check_figure_path, save_figure
    from jscc_sim.plots.curves import gain_figure, outage_figure, quality_figure

    _check_rows(table)
    if out is not None:
        _check_path("figure", out)
        check_figure_path(out)
    draw = {"outage": outage_figure, "gain_db": gain_figure}.get(y, partial(quality_figure, y=y))
    taken = [name for name in signature(draw).parameters if name not in ("table", "x", "y")]
    for name in options.keys() - taken:
        raise InputError(f"plot of {y} has no option {name}: its options are {', '.join(taken)}")
    figure = draw(table, x, **options)
    if out is not None:
        save_figure(figure, out)
    return figure


def report(table: pd.DataFrame, out: str | os.PathLike[str], title: str = "Results of a sweep") -> None:
    """All tables and figures of rows on one HTML page. Raises InputError."""
    from jscc_sim.files import write_whole
    from jscc_sim.plots.table import check_table
    from jscc_sim.reports import report as page

    _check_rows(table)
    _check_path("report", out)
    text = page(check_table(table), str(title))
    write_whole(out, lambda handle: handle.write(text.encode()))


def train(folder: str | os.PathLike[str] | None, out: str | os.PathLike[str], **options: Any) -> str:
    """Train the networks of a system on a folder of pictures; goes on where it was stopped. Returns `out`,
    which `zoo=` takes. options: those of `jscc-sim train`, such as system="vae", minutes=30, steps=500,
    bank="linear", start="conv", snr_db=(-2, 7). Raises InputError."""
    return _command("train", folder, out=out, **options)


def calibrate(folder: str | os.PathLike[str], zoo: str | os.PathLike[str], **options: Any) -> str:
    """Fit a zoo's table of predicted errors on a folder of pictures. Returns `zoo`. options: those of
    `jscc-sim calibrate`, such as companion="linear". Raises InputError."""
    return _command("calibrate", folder, zoo=zoo, **options)


def list_systems() -> pd.DataFrame:
    """What there is to send pictures by: name, parameters, summary; installed plug-ins too."""
    return _frame(listings.systems())


def list_channels() -> pd.DataFrame:
    """What there is to send pictures over."""
    return _frame(listings.channels())


def list_waveforms() -> pd.DataFrame:
    """What there is to carry symbols through the air."""
    return _frame(listings.waveforms())


def list_policies() -> pd.DataFrame:
    """What there is to share channel uses out."""
    return _frame(listings.policies())


def list_codecs() -> pd.DataFrame:
    """What there is to compress pictures."""
    return _frame(listings.codecs())


def list_metrics() -> pd.DataFrame:
    """What there is to measure quality."""
    return _frame(listings.metrics())


def list_zoos() -> pd.DataFrame:
    """Released weights: zoos of block-jscc, and those of the other learned systems."""
    return _frame(listings.weights())


def _frame(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_records(entries).set_index("name")


def _spec(system: AnySystem, options: Mapping[str, Any]) -> SystemSpec:
    """The system with what was asked for, which an instance and a spec have already."""
    if isinstance(system, str):
        return SystemSpec(system, **options)
    given = {field.name: field.default for field in fields(SystemSpec)}
    asked = [name for name, value in options.items() if value != given[name]]
    if isinstance(system, SystemSpec) and not asked:
        return system
    if isinstance(system, System) and not set(asked) - {"sender_snr_db"}:
        spec = SystemSpec.of(system)
        return replace(spec, sender_snr_db=options["sender_snr_db"])
    if isinstance(system, SystemSpec | System):
        raise InputError(
            f"{asked[0]} = {options[asked[0]]!r} belongs into the system that was given: {system}"
        )
    raise InputError(f"system {system!r} is neither a name, a SystemSpec nor a System")


def _cbr(value: Real | str) -> Fraction:
    return parse_cbr(value if isinstance(value, str | Fraction) else number("cbr", value))


def _metrics(metrics: Any) -> list[Any]:
    """One metric, or several in a list or in text with commas, as a list."""
    if isinstance(metrics, str):
        return named(metrics)
    if not isinstance(metrics, Metric | Iterable):
        raise InputError(f"metrics = {metrics!r} is neither a name nor a Metric, nor a list of them")
    return [metrics] if isinstance(metrics, Metric) else list(metrics)


def _check_path(what: str, path: object) -> None:
    """Raises InputError for what is no name of a file."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"{what} = {path!r} is no name of a file")


def _check_rows(table: object) -> None:
    """Raises InputError for what is no table at all."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise InputError(f"a {type(table).__name__} is no table of results, which sweep and load give")


def _several(values: Any) -> list[Any]:
    """One value, or a list or an array of them, as a list."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, str | SystemSpec | System | Channel) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def _pixels(picture: AnyPicture) -> Picture:
    """[H, W, 3] uint8 of whatever holds a picture. Raises InputError."""
    if isinstance(picture, str | os.PathLike):
        return read_picture(picture)
    try:
        pixels = np.asarray(picture)
    except Exception as error:
        raise InputError(f"a {type(picture).__name__} is no picture: {one_line(error)}") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"picture of shape {list(pixels.shape)} and type {pixels.dtype} is not [H, W, 3] of uint8"
        )
    return np.ascontiguousarray(pixels)


def _images(images: AnyPicture | Iterable[AnyPicture], scratch: Path) -> list[str]:
    """Names of files. Pixels are written down without loss, so that workers can read them."""
    found: list[str] = []
    one = isinstance(images, str | os.PathLike) or not isinstance(images, Iterable)
    one = one or getattr(images, "ndim", None) in (2, 3)
    several: Any = [images] if one else images
    for place, image in enumerate(several):
        if not isinstance(image, str | os.PathLike):
            path = scratch / f"picture-{place}.png"
            write_picture(_pixels(image), path)
            found.append(str(path))
            continue
        name = os.fspath(image)
        if not name:
            raise InputError("images: an empty name is that of no picture")
        if Path(name).is_dir():
            found += map(str, list_pictures(name))
        elif glob.has_magic(name) and not Path(name).exists():
            matches = sorted(path for path in glob.glob(name, recursive=True) if Path(path).is_file())
            if not matches:
                raise InputError(f"images: no file matches {name}")
            found += matches
        elif name == "builtin":
            found += BUILTIN
        else:
            found.append(name)
    return found


def _command(name: Literal["train", "calibrate"], folder: Any, **options: Any) -> str:
    """A command of the command line, with its options and their defaults."""
    from jscc_sim.cli import build_parser, training

    if folder is not None:
        _check_path("folder", folder)
    words = [name] + ([] if folder is None else [os.fspath(folder)])
    for option, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{option.replace('_', '-')}")
        if value is not True:
            words += [str(part) for part in (value if isinstance(value, tuple | list) else [value])]
    try:
        arguments = build_parser().parse_args(words)
    except SystemExit:
        raise InputError(f"{name}: options {options} are not those of jscc-sim {name}") from None
    if code := getattr(training, name)(arguments):
        raise JsccError(f"jscc-sim {name} ended with exit code {code}")
    return str(options.get("out") or options["zoo"])
