"""The command line. Commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, NoReturn

from jscc_sim.errors import JsccError, one_line, out_of_memory

SECONDS = (
    "seconds: of sender, channel and receiver. Reading and writing pictures, loading libraries and networks, "
    "and measuring quality are left out."
)
GRID_KEYS = (
    "Keys of the grid: images (a folder, a list of files, or 'builtin'), systems, channels, snr_db, cbr; if "
    "wanted csi, waveforms, repeats, seed, metrics. Keys of each [[systems]]: name; if wanted zoo, policy, "
    "complexity, equaliser, side_info, companion, sender_snr_db, header_margin_db, precision, device, "
    "threads. Systems and channels may be plug-ins, as in transmit."
)

Commands = Any
"""What add_subparsers returns; argparse has no public name for it."""

PLUGIN = "NAME, NAME:key=value, package.module:Class or file.py:Class"
TABLE = "results: a CSV of jscc-sim export, or the store itself"
STREAM = "- for standard output"
SYSTEMS = (
    "block-jscc, CODEC+ldpc, CODEC+ldpc:MODE, CODEC+ldpc-abstraction, CODEC+ideal, quantised+uep, softcast, "
    "vae:N, digits, generative"
)
METRICS = "psnr, ssim, ms-ssim, gmsd, ciede2000"
BLOCK_JSCC = "block-jscc"
RECEIVER = "how the receiver undoes the fading that it knows of"
CHANNELS = (
    "awgn, rayleigh-slow, rayleigh-block:L, rayleigh-fast, rician-slow:K, rician-block:K:L, rician-fast:K, "
    "rayleigh-real-fast, rician-real-fast:K"
)
FADING = (
    "one fading a frame (slow), a new one every L channel uses (block) or every use (fast); K: power of the "
    "constant path over that of the others, linear"
)
SAMPLES = (
    "on the samples of a waveform tdl-a to tdl-e:NS[:MPS[:GHZ]] and taps:NS/DB,...[:MPS], and behind any of "
    "these and awgn, rayleigh-slow, rician-slow:K what radios do: +cfo:HZ, +delay:SAMPLES, +drift:PPM, "
    "+phase-noise:DBC, +clip:DB, +rapp:DB"
)
WAVEFORMS = (
    "symbols, or ofdm[:fft=256,cp=18,spacing=15000,pilots=4x7,guard=31] with all that it costs counted"
)
CODECS = "gmm, jpeg, hevc, ..., see jscc-sim codecs, or a plug-in's package.module:Class or file.py:Class"


def is_number(word: str) -> bool:
    """Whether a word looks like an SNR or a CBR."""
    try:
        return all(map(math.isfinite, map(float, word.split("/"))))
    except ValueError:
        return False


class Parser(argparse.ArgumentParser):
    """Complains in one line, as every other error does."""

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser.error."""
        unknown, _, words = message.partition("unrecognized arguments: ")
        if not unknown and words and all(map(is_number, words.split())):
            message += "; several SNRs or CBRs at once are for jscc-sim sweep"
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Looks the version up only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """See argparse.Action."""
        import jscc_sim

        print(f"jscc-sim {jscc_sim.__version__}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 2 for input that cannot be used, 3 for an outage."""
    _open_streams()
    try:
        with _ended_by_interrupts():
            arguments = build_parser().parse_args(argv)
            command = importlib.import_module(arguments.module)
        code = getattr(command, arguments.function)(arguments)
        sys.stdout.flush()
    except JsccError as error:
        _complain(error)
        return error.exit_code
    except (MemoryError, RuntimeError) as error:
        short = out_of_memory(error)
        if short is None:
            raise
        _complain(short)
        return 2
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        if error.filename:  # a folder that vanished, a name too long
            _complain(f"{error.filename} cannot be used: {error.strerror}")
        else:  # standard output on a full disk
            _complain(error)
            _drop_output()
        return 2
    except KeyboardInterrupt:
        _complain("stopped")
        return 130
    return int(code or 0)


def _complain(what: object) -> None:
    """One line, whatever a plug-in's message looks like."""
    with suppress(OSError):  # nobody may be listening
        print("jscc-sim:", one_line(what), file=sys.stderr, flush=True)


def _open_streams() -> None:
    """What the caller closed leads nowhere, so that no file takes its number; text that a stream has no
    letters for is escaped."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Ctrl-C ends the process on the spot, while there is nothing to lose: libraries that are being imported
    make of an exception what they like."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> NoReturn:
    _complain("stopped")
    os._exit(130)


def _drop_output() -> None:
    """What is still buffered cannot be written; the interpreter would try again when it ends."""
    with suppress(OSError):  # a stream of the caller's own has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = Parser(
        prog="jscc-sim",
        description="Send real images over noisy radio channels, with bandwidth where the picture needs it.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_link(commands)
    _add_sweep(commands)
    _add_listings(commands)
    _add_plotting(commands)
    _add_training(commands)
    _add_demo(commands)
    return parser


def _add_link(commands: Commands) -> None:
    transmit = _command(commands, "transmit", "link", "send pictures and measure what arrives", SECONDS)
    transmit.add_argument(
        "images", nargs="+", metavar="IMAGE", help="picture files, or names such as astronaut"
    )
    _sender(transmit)
    _channel(transmit)
    _equaliser(transmit, RECEIVER)
    _zoo(transmit, default="")
    transmit.add_argument(
        "--sender-snr-db", type=float, metavar="DB", help="what the sender believes (the truth)"
    )
    _system(transmit)
    transmit.add_argument("--side-info", choices=("transmitted", "genie"), default="transmitted",
                          help="genie: header free and error-free, for comparison only")  # fmt: skip
    transmit.add_argument("--out", metavar="PATH", help="received picture; a folder for several images")
    transmit.add_argument("--figure", metavar="FILE", help="figure of original, allocation and reception")
    transmit.add_argument("--json", action="store_true", help="one JSON object per image and line")
    _arithmetic(transmit)
    measured = transmit.add_mutually_exclusive_group()
    measured.add_argument("--metrics", default="psnr,ssim,ms-ssim", metavar="NAME,...",
                          help=f"what is measured: {METRICS}, {PLUGIN} (psnr,ssim,ms-ssim)")  # fmt: skip
    measured.add_argument("--no-ssim", action="store_true", help="PSNR alone, which is quicker")
    _add_three_programs(commands)
    _add_files(commands)


def _add_three_programs(commands: Commands) -> None:
    encode = _command(commands, "encode", "link", "sender: picture to symbols in a SigMF recording")
    encode.add_argument("images", nargs=1, metavar="IMAGE")
    _sender(encode)
    _channel(encode, seeded=False)
    _zoo(encode, default="")
    _equaliser(encode, "what the sender expects of its receiver")
    _system(encode)
    _arithmetic(encode)
    encode.add_argument("--sample-rate", type=float, metavar="HZ",
                        help="of the samples of ofdm (fft times spacing)")  # fmt: skip
    encode.add_argument("--out", required=True, metavar="TX.sigmf-meta")

    channel = _command(commands, "channel", "link", "radio channel: one SigMF recording to another")
    channel.add_argument("recording", metavar="TX.sigmf-meta")
    _channel(channel)
    channel.add_argument("--before", type=int, default=0, metavar="N",
                         help="samples of noise in front of the frame (0)")  # fmt: skip
    channel.add_argument("--behind", type=int, default=0, metavar="N", help="and behind it (0)")
    channel.add_argument("--out", required=True, metavar="RX.sigmf-meta")

    decode = _command(commands, "decode", "link", "receiver: SigMF recording to picture")
    decode.add_argument("recording", metavar="RX.sigmf-meta")
    _waveform(decode)
    _estimator(decode)
    _equaliser(decode, RECEIVER)
    _zoo(decode, default="")
    _system(decode)
    decode.add_argument("--most-pixels-per-use", type=float, metavar="N",
                        help="of block-jscc: refuse frames that claim more (10000)")  # fmt: skip
    _arithmetic(decode)
    decode.add_argument("--out", required=True, metavar="PICTURE")


def _add_files(commands: Commands) -> None:
    compress = _command(commands, "compress", "files", "picture to a file, by any of the codecs")
    compress.add_argument("image", metavar="IMAGE")
    compress.add_argument("--codec", default="gmm", metavar="NAME", help=f"{CODECS} (gmm)")
    compress.add_argument("--quality", type=float, default=4.0, help="1, the weakest, to 8 (4)")
    compress.add_argument("--zoo", default="", metavar="FOLDER", help="weights not the released ones")
    compress.add_argument("-o", "--out", required=True, metavar="FILE.jsc", help=STREAM)

    decompress = _command(commands, "decompress", "files", "a file of compress to a picture")
    decompress.add_argument("file", metavar="FILE.jsc")
    decompress.add_argument("--codec", default="", metavar="NAME", help="of a file of a plug-in: which one")
    decompress.add_argument("--zoo", default="", metavar="FOLDER", help="weights not the released ones")
    decompress.add_argument("-o", "--out", required=True, metavar="PICTURE")


def _add_sweep(commands: Commands) -> None:
    summary = "run a grid of experiments; goes on where it was stopped"
    sweep = _command(commands, "sweep", "sweep", summary, GRID_KEYS)
    sweep.add_argument("grid", metavar="GRID.toml", help="systems, channels, SNRs, CBRs, images, repeats")
    sweep.add_argument("--store", metavar="FILE", help="SQLite file that the rows go to")
    sweep.add_argument("--workers", type=int, metavar="N", help="local processes (1; at most 1024)")
    _device(sweep, default=None)
    sweep.add_argument("--executor", choices=("processes", "dask"), default="processes")
    sweep.add_argument("--scheduler", metavar="URL", help="of the Dask cluster, tcp://HOST:PORT")
    sweep.add_argument("--dry-run", action="store_true", help="number of trials and an estimate of the time")

    export = _command(commands, "export", "sweep", "write the rows of a sweep's store as a table")
    export.add_argument("store", metavar="FILE", help="store of a sweep")
    export.add_argument("--csv", required=True, metavar="TABLE.csv", help=STREAM)


def _add_listings(commands: Commands) -> None:
    for name, summary in (
        ("policies", "list the allocation policies"),
        ("channels", "list the channels"),
        ("waveforms", "list the waveforms"),
        ("systems", "list the systems"),
        ("codecs", "list the codecs of the digital chains and of compress"),
        ("metrics", "list the metrics of picture quality"),
        ("zoo", "list the released weights: zoos, learned systems"),
    ):
        listed = _command(commands, name, "listing", summary)
        listed.add_argument("--json", action="store_true", help="machine-readable")

    bench = _command(commands, "bench", "bench", "seconds of each stage, megapixels per second, memory")
    bench.add_argument("--size", default="512x768", metavar="HxW")
    bench.add_argument("--runs", type=int, default=5)
    _zoo(bench)
    bench.add_argument("--policy", default="lagrangian")


def _add_plotting(commands: Commands) -> None:
    plot = _command(commands, "plot", "plotting", "draw a table of results as a figure")
    plot.add_argument("file", metavar="FILE", help=TABLE)
    plot.add_argument("--x", choices=("cbr", "snr_db"), default="cbr", help="axis (cbr)")
    plot.add_argument("--y", default="psnr_db", metavar="COLUMN",
                      help="drawn over it: a metric's column, gain_db or outage (psnr_db)")  # fmt: skip
    plot.add_argument("--y-label", default="", metavar="TEXT", help="of that axis, where a metric is yours")
    plot.add_argument("--out", required=True, metavar="FIGURE", help="a .pdf, .svg or .png")
    plot.add_argument("--width", choices=("column", "full"), default="column", help="of a paper (column)")
    plot.add_argument("--no-bands", action="store_true", help="means alone: no intervals, no single pictures")
    plot.add_argument("--relative-to", action="append", default=[], metavar="COLUMN=VALUE",
                      help="draw differences to this curve, image by image; may be repeated")  # fmt: skip
    plot.add_argument("--without-outages", action="store_true", help="average what arrived alone")
    _selection(plot)

    report = _command(commands, "report", "plotting", "all tables and figures of results on one HTML page")
    report.add_argument("file", metavar="FILE", help=TABLE)
    report.add_argument("-o", "--out", required=True, metavar="PAGE.html", help=STREAM)
    report.add_argument("--title")
    _selection(report)


def _add_training(commands: Commands) -> None:
    from jscc_sim.training.learned import LEARNED

    trained = (BLOCK_JSCC, *LEARNED)
    train = _command(
        commands,
        "train",
        "training",
        "train the networks of a system on a folder of images; resumes by itself",
    )
    train.add_argument("folder", nargs="?", metavar="FOLDER", help="training images (digits: none)")
    train.add_argument(
        "--out", required=True, metavar="ZOO", help="folder of the weights, the checkpoint and the log"
    )
    train.add_argument("--system", choices=trained, default=BLOCK_JSCC)
    train.add_argument("--bank", choices=("conv", "linear"), help="of block-jscc (conv)")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="budget of time, turned into steps at the start (60)")
    length.add_argument("--steps", type=int, help="optimiser steps")
    train.add_argument("--fine", type=int, help="of block-jscc: channels of the 8x8 grid (128)")
    train.add_argument("--coarse", type=int, help="of block-jscc: channels of the 4x4 grid (192)")
    train.add_argument(
        "--depths",
        type=int,
        nargs=4,
        metavar="N",
        help="of block-jscc: residual blocks, encoder fine and coarse, decoder coarse and fine (3 3 3 4)",
    )
    train.add_argument(
        "--attention",
        type=int,
        metavar="N",
        help="of block-jscc: layers of attention in windows on the 4x4 grid, at each end (0)",
    )
    train.add_argument("--start", metavar="ZOO", help="of block-jscc: begin with this zoo's weights")
    train.add_argument("--snr-db", type=float, nargs=2, metavar="SNR",
                       help="of block-jscc: least and largest SNR to train for (-2 20)")  # fmt: skip
    train.add_argument("--uses", type=float, nargs=2, metavar="USES",
                       help="of block-jscc: least and largest uses of a block (16 640)")  # fmt: skip
    train.add_argument("--loss", choices=("psnr", "ms-ssim"),
                       help="of block-jscc: what to train for; ms-ssim needs --side 192 (psnr)")  # fmt: skip
    train.add_argument("--rate", type=float, help="share of the usual learning rates (1)")
    train.add_argument("--crops", type=int, help="crops in a batch (block-jscc: 6)")
    train.add_argument("--side", type=int, help="side of a crop (block-jscc: 160, a multiple of 32)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    train.add_argument("--fp32", action="store_true", help="no bf16 arithmetic")
    train.add_argument("--compile", action="store_true", help="torch.compile the network: slow to start")
    train.add_argument("--checkpoint-seconds", type=float, default=240.0)

    calibrate = _command(commands, "calibrate", "training", "fit a zoo's table of predicted errors")
    calibrate.add_argument(
        "folder", metavar="FOLDER", help="images to fit on (their held-out share is left out)"
    )
    calibrate.add_argument("--zoo", required=True, metavar="ZOO", help="folder of the zoo")
    calibrate.add_argument(
        "--images", type=int, default=80, help="how many of the images, largest first (80)"
    )
    calibrate.add_argument(
        "--companion", metavar="ZOO", help="let senders use that zoo's coders where they promise more"
    )
    calibrate.add_argument(
        "--withhold", type=int, nargs="*", metavar="USES",
        help="ratios that policies take only where nothing else fits (as it is; no number: none)",
    )  # fmt: skip
    calibrate.add_argument("--seed", type=int, default=0)


def _add_demo(commands: Commands) -> None:
    demo = _command(commands, "demo", "demo", "a page for the browser, on this machine alone")
    demo.set_defaults(module="jscc_sim.demo.command")  # a layer above this one: by name
    demo.add_argument("--port", type=int, metavar="N", help="of 127.0.0.1 (the first free one from 7860 on)")
    demo.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")


def _command(
    commands: Commands, name: str, module: str, summary: str, more: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary, epilog=more)
    parser.set_defaults(module=f"jscc_sim.cli.{module}", function=name)
    return parser


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE[,VALUE]",
                        help="rows with these values alone; may be repeated")  # fmt: skip
    parser.add_argument("--reference", action="append", default=[], metavar="CSV",
                        help="published curves: files or folders such as results/reference")  # fmt: skip
    parser.add_argument("--other-pictures", action="store_true",
                        help="draw published curves that are of other pictures too, marked")  # fmt: skip
    parser.add_argument("--parent", action="append", default=[], metavar="ZOO=PARENT",
                        help="what the specialised ZOO comes from: its uniform frames count too")  # fmt: skip


def _sender(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cbr", required=True,
        help="budget: channel uses per colour sample, 1/16 or 0.0625; block-jscc uses up to 1/4 and a header",
    )  # fmt: skip
    parser.add_argument("--policy", default="", help=f"{PLUGIN} (lagrangian)")
    parser.add_argument("--complexity", default="", help=f"estimator: {PLUGIN} (variance)")
    parser.add_argument("--companion", choices=("auto", "none"), default="",
                        help="whether the zoo's companion may code a frame (auto)")  # fmt: skip
    parser.add_argument(
        "--header-margin-db", type=float, metavar="DB",
        help="make the header for so much less than the sender's SNR (up to 10, as far as it is cheap)",
    )  # fmt: skip


def _channel(parser: argparse.ArgumentParser, seeded: bool = True) -> None:
    parser.add_argument(
        "--snr-db", type=float, required=True, metavar="DB", help="Es/N0; average under fading"
    )
    parser.add_argument(
        "--channel", default="awgn", help=f"{CHANNELS}: {FADING}; {SAMPLES}; or {PLUGIN} (awgn)"
    )
    parser.add_argument(
        "--csi",
        default="",
        help="what the receiver knows of the channel: perfect or noisy:DB (perfect); with ofdm estimated or "
        "perfect (estimated)",
    )
    _waveform(parser)
    _estimator(parser)
    if seeded:
        parser.add_argument("--seed", type=int, default=0, help="seed of fading and noise (0)")


def _waveform(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--waveform", default="symbols", help=f"{WAVEFORMS} (symbols)")


def _estimator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--estimator", choices=("lmmse", "ls"), help="of the channel between the pilots of ofdm (lmmse)"
    )


def _zoo(parser: argparse.ArgumentParser, default: str = "conv") -> None:
    parser.add_argument("--zoo", default=default, help="released zoo or folder of one (conv)")


def _system(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--system", default=BLOCK_JSCC, help=f"{SYSTEMS}, or {PLUGIN} (block-jscc)")


def _arithmetic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32",
                        help="of block-jscc's networks; bf16 where the processor has it (fp32)")  # fmt: skip
    _device(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N",
                        help="of the processor, for them; the last bits depend on it (1)")  # fmt: skip


def _device(parser: argparse.ArgumentParser, default: str | None = "cpu") -> None:
    usual = default or "as the grid has it"
    parser.add_argument("--device", default=default,
                        help=f"for block-jscc's networks: cpu, cuda or cuda:N ({usual})")  # fmt: skip


def _equaliser(parser: argparse.ArgumentParser, help_: str) -> None:
    parser.add_argument("--equaliser", choices=("none", "zf", "mmse"), default="mmse", help=f"{help_} (mmse)")
