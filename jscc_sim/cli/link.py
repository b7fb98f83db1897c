"""`transmit`, and the three programs that it is composed of: `encode`, `channel`, `decode`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jscc_sim.channels import Channel, complex_normal, parse_channel
from jscc_sim.cli import is_number
from jscc_sim.cli.outputs import replaces_nothing, say_written, writable, writable_folder
from jscc_sim.cli.remarks import notes, remark
from jscc_sim.errors import BudgetError, InputError, printable
from jscc_sim.images import Picture, picture_suffixes, read_picture, write_picture
from jscc_sim.metrics import Metric, load_metrics, measure
from jscc_sim.plugins import errors_named
from jscc_sim.recording import (
    MOST_SAMPLES,
    NOISE_VARIANCE,
    Recording,
    levelled,
    read_received,
    read_recording,
    recording_files,
    write_received,
    write_recording,
)
from jscc_sim.sweeps.row import check_columns
from jscc_sim.systems.base import LinkSystem, System, air_uses, room_on_air
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.spec import ARITHMETIC, SIDE_INFO, SystemSpec
from jscc_sim.units import LARGEST_SEED, budget_uses, cbr_of, check_snr_db, noise_variance, parse_cbr
from jscc_sim.waveforms import (
    ESTIMATED,
    LMMSE,
    OFDM,
    SYMBOLS,
    WIDEST_SPACING_HZ,
    csi_with,
    parse_link,
    parse_waveform,
    waveform_name,
)
from jscc_sim.waveforms.link import passed_samples

TABLE = "{:<24} {:<24} {:>7} {:>7} {:>7}"
"""Columns of the table for people in front of the metrics' own and the seconds."""

MOST_PIXELS_PER_USE = 1e4
"""That a frame of block-jscc may claim unless told otherwise."""


def transmit(arguments: argparse.Namespace) -> int:
    """Send each picture, print a row for each, write what was asked for."""
    channel, belief = _channels(arguments)
    spec = _spec(arguments)
    system = spec.load()
    with errors_named(type(system).__name__):
        system.check(channel)
    metrics = load_metrics("psnr" if arguments.no_ssim else arguments.metrics)
    check_columns(metrics)
    jobs = _jobs(arguments)
    remark([(spec, system)], (channel.snr_db, belief.snr_db))
    for job in jobs:  # what will not do is found before libraries are loaded and anything is sent
        with _naming(job), errors_named(type(system).__name__):
            system.check_fits(job.picture, room_on_air(belief, job.budget), belief)
    _prepare(system)
    _make_folder(jobs)
    if not arguments.json:
        words = [TABLE.format("image", "policy or system", "uses", "CBR", "header")]
        print(*words, *(f"{metric.label:>8}" for metric in metrics), f"{'seconds':>8}")
    for job in tqdm(jobs, desc="transmitting", delay=2, disable=None if len(jobs) > 1 else True):
        _send(job, spec, system, channel, belief, metrics, arguments)
    return 0


def encode(arguments: argparse.Namespace) -> int:
    """The sender's program."""
    waveform = _waveform(arguments)
    belief, _ = _channels(arguments)
    spec = _spec(arguments)
    system = _link(spec)
    with errors_named(type(system).__name__):
        system.check(belief)
    if system.needs_csit:
        what = f"policy {spec.policy}" if spec.policy else f"system {spec.name}"
        raise InputError(f"{what} knows the true channel: it works in transmit alone")
    cbr = parse_cbr(arguments.cbr)
    replaces_nothing(arguments, *recording_files(arguments.out))
    picture = _picture(arguments.images[0])
    _recording_output(arguments.out)
    remark([(spec, system)], [belief.snr_db])
    budget = room_on_air(belief, _budget(cbr, picture, arguments.images[0]))
    frame = system.make_frame(picture, budget, belief)
    air = belief.air_time(len(frame.symbols))
    said = f"{air.uses} channel uses, {frame.header_uses} of them the header"
    if waveform is None:
        what = "Frame of a picture, one sample per channel use"
        write_recording(arguments.out, frame.symbols, description=what)
    else:
        samples = waveform.modulate(frame.symbols)
        what = f"Frame of a picture, {arguments.waveform}"
        write_recording(arguments.out, samples, description=what, sample_rate_hz=waveform.rate_hz)
        loudest = float(np.abs(samples).max())
        said += (
            f", {air.pilots} pilots, {air.prefix} prefix, {air.preamble} preamble; {len(samples)} samples at "
        )
        said += f"{waveform.rate_hz:g} Hz, the largest {loudest:.3g}"
    print(f"{recording_files(arguments.out)[0]}: {said}")
    return 0


def channel(arguments: argparse.Namespace) -> int:
    """The radio channel's program."""
    _check_seed(arguments)
    replaces_nothing(arguments, *recording_files(arguments.out))
    recording = read_recording(arguments.recording)
    if recording.sample_rate_hz is not None:
        return _channel_of_samples(arguments, recording)
    for name in ("before", "behind"):
        if getattr(arguments, name):
            raise InputError(f"--{name} is of samples, and {arguments.recording} holds symbols")
    if arguments.waveform != SYMBOLS:
        raise InputError(
            f"{arguments.recording} holds symbols: encode --waveform {arguments.waveform} makes samples"
        )
    disturb, _ = _channels(arguments)
    if NOISE_VARIANCE in recording.extra:
        raise InputError(f"recording {arguments.recording} was received already: it names a noise variance")
    _recording_output(arguments.out)
    received = disturb(recording.symbols, np.random.default_rng(arguments.seed))
    write_received(arguments.out, received, description="Received frame, one sample per channel use")
    print(f"{recording_files(arguments.out)[0]}: {len(received.symbols)} channel uses received")
    return 0


def _channel_of_samples(arguments: argparse.Namespace, recording: Recording) -> int:
    """The same for a recording at a sample rate: what arrives has noise, and nothing else beside it."""
    rate_hz = recording.sample_rate_hz
    assert rate_hz is not None
    if arguments.csi or arguments.estimator or arguments.waveform != SYMBOLS:
        raise InputError(
            f"{arguments.recording} holds samples at {rate_hz:g} Hz: what waveform they are, and what a "
            "receiver knows, is no matter of the channel's (--waveform, --csi)"
        )
    path = parse_channel(arguments.channel, check_snr_db(arguments.snr_db, "--snr-db"))
    quiet = []
    for name in ("before", "behind"):
        count = getattr(arguments, name)
        if not 0 <= count <= MOST_SAMPLES - len(recording.symbols):
            raise InputError(
                f"--{name} {count} is outside 0 to {MOST_SAMPLES - len(recording.symbols)}, which with the "
                f"frame's are {MOST_SAMPLES} samples"
            )
        quiet.append(np.zeros(count, np.complex64))
    total = len(recording.symbols) + arguments.before + arguments.behind
    if total > MOST_SAMPLES:
        raise InputError(f"--before and --behind make {total} samples, more than {MOST_SAMPLES}")
    _recording_output(arguments.out)
    fading, noise, _ = np.random.default_rng(arguments.seed).spawn(3)
    sent = np.concatenate([quiet[0], recording.symbols, quiet[1]])
    arrived = passed_samples(path, sent, rate_hz, fading)
    arrived = arrived + complex_normal(len(arrived), noise_variance(path.snr_db), noise)
    what = f"Received over {arguments.channel} at {path.snr_db:g} dB"
    write_recording(arguments.out, arrived, description=what, sample_rate_hz=rate_hz)
    print(f"{recording_files(arguments.out)[0]}: {len(arrived)} samples received at {rate_hz:g} Hz")
    return 0


def decode(arguments: argparse.Namespace) -> int:
    """The receiver's program."""
    replaces_nothing(arguments, arguments.out)
    most = arguments.most_pixels_per_use
    if most is not None and not most > 0:
        raise InputError(f"--most-pixels-per-use {most:g} is not above 0")
    waveform = _waveform(arguments)
    if waveform is None:
        if arguments.estimator is not None:
            raise InputError(f"--estimator {arguments.estimator} is of a waveform, and symbols have none")
        received = read_received(arguments.recording)
    else:
        recording = read_recording(arguments.recording)
        if recording.sample_rate_hz is None:
            raise InputError(
                f"recording {arguments.recording} names no sample rate (core:sample_rate): it holds symbols, "
                f"not samples of {arguments.waveform}"
            )
        received = waveform.receive(levelled(recording.symbols), arguments.estimator or LMMSE)
    writable(arguments.out, picture=True)
    asked = {"equaliser": arguments.equaliser, **_arithmetic(arguments)}
    system = _link(SystemSpec(arguments.system, arguments.zoo, **asked))
    if isinstance(system, BlockJSCC):
        system = replace(system, most_pixels_per_use=MOST_PIXELS_PER_USE if most is None else most)
    elif most is not None:
        raise InputError(f"system {arguments.system} has no --most-pixels-per-use {most:g}")
    reception = system.read_frame(received)
    write_picture(reception.picture, arguments.out)
    height, width = reception.picture.shape[:2]
    say_written(arguments.out, f"{height}x{width} pixels")
    return 0


def _link(spec: SystemSpec) -> LinkSystem:
    """A system of two ends. Raises InputError for another."""
    system = spec.load()
    if not isinstance(system, LinkSystem):
        raise InputError(f"system {spec.name} has no two ends: it works in transmit alone")
    return system


def _recording_output(path: str) -> None:
    """Raises InputError for a recording's name that cannot be written, or was meant for a picture."""
    if Path(path).suffix.lower() in picture_suffixes():
        raise InputError(f"output {path} is named as a picture; what is written is a recording, .sigmf-meta")
    writable(path)


@dataclass(frozen=True)
class Job:
    """One picture of a `transmit` command."""

    name: str
    picture: Picture
    budget: int
    out: Path | None


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    """Everything read and checked before anything is sent."""
    several = len(arguments.images) > 1
    cbr = parse_cbr(arguments.cbr)
    if arguments.figure and several:
        raise InputError(f"--figure shows one image, not {len(arguments.images)}")
    if arguments.figure:
        from jscc_sim.plots import check_figure_path

        check_figure_path(arguments.figure)
        writable(arguments.figure)
    folder = Path(arguments.out) if arguments.out and (several or Path(arguments.out).is_dir()) else None
    if folder is not None:
        if folder.suffix.lower() in picture_suffixes() and not folder.is_dir():
            raise InputError(
                f"output {folder} is named as a picture; {len(arguments.images)} pictures need a folder"
            )
        writable_folder(folder)
        stems = [Path(name).stem for name in arguments.images]
        double = next((stem for stem in stems if stems.count(stem) > 1), None)
        if double is not None:
            raise InputError(f"several images are named {double!r}: their outputs would overwrite each other")
    outs: list[Path | None] = [Path(arguments.out) if arguments.out else None] * len(arguments.images)
    if folder is not None:
        outs = [folder / f"{Path(name).stem}.png" for name in arguments.images]
    replaces_nothing(arguments, *(out for out in outs if out), *filter(None, [arguments.figure]))
    jobs = []
    for name, out in zip(arguments.images, outs, strict=True):
        picture = _picture(name)
        if out is not None and (folder is None or folder.exists()):
            writable(out, picture=True)
        jobs.append(Job(name, picture, _budget(cbr, picture, name), out))
    return jobs


def _picture(name: str) -> Picture:
    """As `read_picture`, which knows nothing of commands."""
    if Path(name).is_dir():
        raise InputError(f"image {name} is a folder: name its files, or sweep it: images = {name!r}")
    if not Path(name).exists() and is_number(name):
        raise InputError(f"image {name} does not exist; several SNRs or CBRs at once are for jscc-sim sweep")
    return read_picture(name)


@contextmanager
def _naming(job: Job) -> Iterator[None]:
    try:
        yield
    except BudgetError as error:
        raise BudgetError(f"image {job.name}: {error}") from None


def _make_folder(jobs: list[Job]) -> None:
    """The folder of the outputs, once nothing but the sending is left to do."""
    for parent in {job.out.parent for job in jobs if job.out is not None}:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output folder {parent} cannot be made: {error.strerror}") from None


def _send(
    job: Job,
    spec: SystemSpec,
    system: System,
    channel: Channel,
    belief: Channel,
    metrics: Sequence[Metric],
    arguments: argparse.Namespace,
) -> None:
    height, width = job.picture.shape[:2]
    rng = np.random.default_rng(arguments.seed)
    with _naming(job):
        sent = system.transmit(job.picture, channel, job.budget, rng, belief)
    quality = measure(sent.picture, job.picture, metrics)
    ratios, index = system.ratios, sent.index
    row: dict[str, Any] = {
        "image": job.name,
        "height": height,
        "width": width,
        "system": spec.name,
        "zoo": spec.zoo,
        "coder": sent.coder,
        "policy": spec.policy,
        "complexity": spec.complexity,
        "channel": arguments.channel,
        "csi": _csi(arguments),
        "waveform": waveform_name(arguments.waveform),
        "equaliser": spec.equaliser,
        "side_info": spec.side_info,
        "companion": spec.companion,
        "precision": spec.precision,
        "device": spec.device,
        "snr_db": channel.snr_db,
        "sender_snr_db": belief.snr_db,
        "header_margin_db": spec.header_margin_db,
        "cbr_budget": float(parse_cbr(arguments.cbr)),
        "budget_uses": job.budget,
        "uses": sent.uses,
        "header_uses": sent.header_uses,
        "header_snr_db": sent.header_snr_db,
        "cbr": cbr_of(sent.uses, height, width),
        "psnr_db": quality.psnr_db,
        "mse": quality.mse,
        **{"ssim": None, "ms_ssim": None, **quality.values},
        "outage": sent.outage,
        "papr_db": sent.papr_db,
        **air_uses(sent.air),
        "seconds": sum(sent.seconds.values()),
        "stage_seconds": dict(sent.seconds),
        "ratio_blocks": {} if ratios is None or index is None else ratios.blocks_of(index),
        "seed": arguments.seed,
        "notes": notes(spec, system, sent, job.budget),
    }
    if job.out is not None:
        write_picture(sent.picture, job.out)
    if arguments.figure:
        from jscc_sim.plots import Reconstruction, reception_figure, save_figure

        label = f"{spec.policy or spec.name}, {arguments.channel} {channel.snr_db:g} dB, CBR {arguments.cbr}"
        coder = _another_coder(sent.coder, spec.zoo)
        uses = ratios.uses if ratios else ()
        reconstruction = Reconstruction(
            printable(label), sent.picture, quality.psnr_db, index, uses, coder=coder, outage=sent.outage
        )
        save_figure(reception_figure(job.picture, [reconstruction]), arguments.figure)
    print(json.dumps(row) if arguments.json else _table_row(row, str(spec.label.policy), metrics), flush=True)


def _table_row(row: dict[str, Any], policy: str, metrics: Sequence[Metric]) -> str:
    shown = [_cell(row[metric.column], metric.label) for metric in metrics]
    coder = _another_coder(row["coder"], row["zoo"])
    remarks = [*row["notes"], coder and f"coder {coder}"]
    remarks += ["genie side information" if row["side_info"] == "genie" else ""]
    remarks += ["OUTAGE" if row["outage"] else ""]
    share = f"{row['header_uses'] / max(row['uses'], 1):.2%}"
    name, policy = Path(row["image"]).name[:24], (policy or row["system"])[:24]
    line = TABLE.format(name, policy, row["uses"], f"{row['cbr']:.4f}", share)
    line = " ".join([line, *shown, f"{row['seconds']:>8.2f}"])
    return "  ".join([line, *filter(None, remarks)])


def _cell(value: float | None, label: str) -> str:
    """A measured value below its label: decibels with two places, shares with four."""
    places = 2 if label.endswith("dB)") else 4
    return ("-" if value is None else f"{value:.{places}f}").rjust(max(8, len(label)))


def _another_coder(coder: str, zoo: str) -> str:
    """What coded a frame, if it is not simply the zoo that was asked for."""
    return "" if coder == zoo else Path(coder).name


def _spec(arguments: argparse.Namespace) -> SystemSpec:
    """The system that the options name; `encode` sends the header."""
    side_info = getattr(arguments, "side_info", SIDE_INFO[0])
    return SystemSpec(
        arguments.system,
        arguments.zoo,
        arguments.policy,
        arguments.complexity,
        arguments.equaliser,
        side_info,
        arguments.companion,
        header_margin_db=arguments.header_margin_db,
        **_arithmetic(arguments),
    )


def _arithmetic(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options say of it."""
    return {name: getattr(arguments, name) for name in ARITHMETIC}


def _channels(arguments: argparse.Namespace) -> tuple[Channel, Channel]:
    """The channel as it is, and as the sender believes it to be."""
    _check_seed(arguments)
    truth = parse_link(arguments.channel, arguments.snr_db, _csi(arguments), arguments.waveform)
    believed = getattr(arguments, "sender_snr_db", None)
    return truth, truth if believed is None else truth.at(check_snr_db(believed, "sender's SNR"))


def _check_seed(arguments: argparse.Namespace) -> None:
    seed = getattr(arguments, "seed", 0)
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed {seed} is outside 0 to {LARGEST_SEED}")


def _csi(arguments: argparse.Namespace) -> str:
    """What the receiver knows, its estimator with it. Raises InputError."""
    csi = csi_with(arguments.waveform, arguments.csi)
    if arguments.estimator is None:
        return csi
    if csi.partition(":")[0] != ESTIMATED:
        raise InputError(f"--estimator {arguments.estimator} estimates nothing: CSI is {csi}")
    return csi_with(arguments.waveform, f"{ESTIMATED}:{arguments.estimator}")


def _waveform(arguments: argparse.Namespace) -> OFDM | None:
    """The waveform that the options name, at their sample rate, by which it is then named; None for symbols.
    Raises InputError."""
    waveform, rate_hz = parse_waveform(arguments.waveform), getattr(arguments, "sample_rate", None)
    if rate_hz is None:
        return waveform
    if waveform is None:
        raise InputError(f"--sample-rate {rate_hz:g} is of a waveform, and symbols have none")
    if "spacing=" in arguments.waveform:
        raise InputError(
            f"--sample-rate {rate_hz:g} is fft times spacing, which {arguments.waveform} names too"
        )
    if not 1 <= rate_hz / waveform.fft <= WIDEST_SPACING_HZ:
        most = WIDEST_SPACING_HZ * waveform.fft
        raise InputError(f"--sample-rate {rate_hz:g} is outside {waveform.fft} to {most:g} Hz")
    faster = replace(waveform, spacing=rate_hz / waveform.fft)
    arguments.waveform = faster.name
    return faster


def _budget(cbr: Any, picture: Picture, name: str) -> int:
    budget = budget_uses(cbr, *picture.shape[:2])
    if budget < 1:
        raise BudgetError(
            f"image {name}: CBR {cbr} of {picture.shape[0]}x{picture.shape[1]} pixels is 0 channel uses"
        )
    return budget


def _prepare(system: System) -> None:
    """Load networks and libraries before the clock runs."""
    if sys.stderr.isatty():
        print("loading ...", end="\r", file=sys.stderr, flush=True)
    with errors_named(type(system).__name__):
        system.prepare()
