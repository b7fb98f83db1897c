"""`bench`: where the time goes, by each arithmetic of the networks, and beside yardsticks run with them."""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, load_policy
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN
from jscc_sim.complexity import features
from jscc_sim.errors import InputError
from jscc_sim.header import check_size
from jscc_sim.images import Picture, pixel_limit, read_picture
from jscc_sim.inference import PRECISIONS, Arithmetic, inference
from jscc_sim.metrics import DEFAULT
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import RatioSet, budget_uses, parse_cbr
from jscc_sim.zoo import Zoo, load_zoo

SNR_DB, CBR = 10.0, parse_cbr("1/16")
STAGES = ("complexity", "allocation", "encode", "frame", "channel", "decode", "reassembly")
TWIN_BLOCKS = 384
MANY_BLOCKS = 1_000_000


def bench(arguments: argparse.Namespace) -> int:
    """Time whole transmissions of one picture, stage by stage (medians), then the estimator."""
    height, width = _size(arguments.size)
    if arguments.runs < 1:
        raise InputError(f"--runs {arguments.runs} is below 1")
    policy, zoo = load_policy(arguments.policy), load_zoo(arguments.zoo)
    picture = photograph(height, width)
    print(f"{height}x{width}, zoo {arguments.zoo}, policy {arguments.policy}, AWGN {SNR_DB:g} dB, CBR {CBR},")
    print(f"seconds, median of {arguments.runs} warm runs that take turns\n")
    _bench_stages(picture, zoo, policy, arguments.runs)
    print(f"peak memory  {_peak_memory()}\n")
    _bench_metrics(picture, arguments.runs)
    _bench_estimator(picture, arguments.runs)
    _bench_allocation(zoo.ratios, arguments.runs)
    return 0


def arithmetics(zoo: Zoo) -> dict[str, Arithmetic]:
    """What this machine can compute a zoo's networks by; the usual one first."""
    if not zoo.has_networks:
        return {"fp32": Arithmetic()}
    import torch

    found = {}
    for threads in (1, 2)[: os.cpu_count()]:
        for precision in PRECISIONS:
            found[precision + (f", {threads} threads" if threads > 1 else "")] = Arithmetic(
                precision=precision, threads=threads
            )
    for precision in PRECISIONS if torch.cuda.is_available() else ():
        found[f"cuda {precision}"] = Arithmetic("cuda", precision)
    return found


def _bench_stages(picture: Picture, zoo: Zoo, policy: AllocationPolicy, runs: int) -> None:
    """Whole transmissions, stage by stage. The yardstick: as many multiplications in one matrix product."""
    height, width = picture.shape[:2]
    budget = budget_uses(CBR, height, width)
    systems = {name: BlockJSCC(zoo.computing(how), policy) for name, how in arithmetics(zoo).items()}
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for turn in tqdm(range(runs + 1), "runs", leave=False, disable=None):
        for name, system in systems.items():
            if turn == 0:
                system.prepare()
            started = time.perf_counter()
            sent = system.transmit(picture, AWGN(SNR_DB), budget, np.random.default_rng(0))
            total = time.perf_counter() - started
            if turn > 0:
                seconds[name].append({**sent.seconds, "total": total})
    medians = {
        name: {stage: statistics.median(run[stage] for run in taken) for stage in (*STAGES, "total")}
        for name, taken in seconds.items()
    }
    totals = [found["total"] for found in medians.values()]
    print(f"{'stage':<12}", *(f"{name:>16}" for name in medians))
    for stage in (*STAGES, "total"):
        print(f"{stage:<12}", *(f"{found[stage]:>16.4f}" for found in medians.values()))
    print(f"{'megapixels/s':<12}", *(f"{height * width / total / 1e6:>16.2f}" for total in totals))
    print(f"{'times fp32':<12}", *(f"{totals[0] / total:>16.2f}" for total in totals))
    macs = zoo.bank.macs_per_pixel * height * width
    product = _median(lambda: _matrix_product(macs), 3)
    ratio = (medians["fp32"]["encode"] + medians["fp32"]["decode"]) / product
    print(
        f"\nthe networks multiply {macs / 1e9:.1f} billion times; one product of matrices with as many takes"
    )
    print(f"{product:.3f} s on one thread in single precision, encode and decode together {ratio:.2f} times")


def _matrix_product(multiplications: float) -> None:
    """Of square matrices of single precision, on one thread."""
    import torch

    side = max(round(multiplications ** (1 / 3)), 1)
    with inference():
        torch.ones(side, side) @ torch.ones(side, side)


def _bench_metrics(picture: Picture, runs: int) -> None:
    noise = np.random.default_rng(0).normal(0, 8, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    print("seconds to measure")
    for metric in DEFAULT:
        print(f"{metric.label:<12} {_median(lambda: metric(noisy, picture), runs):>16.4f}")  # noqa: B023
    print()


def _peak_memory() -> str:
    """Of the process. Windows does not tell; macOS counts in bytes where others count in KiB."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return "unknown"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{peak / 2 ** (30 if sys.platform == 'darwin' else 20):.2f} GiB"


def photograph(height: int, width: int) -> Picture:
    """A built-in photograph, mirrored until it fills H x W."""
    source = read_picture("astronaut")
    below, right = (max(0, side - have) for side, have in zip((height, width), source.shape[:2], strict=True))
    return np.pad(source, ((0, below), (0, right), (0, 0)), mode="symmetric")[:height, :width]


def plain_features(block: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The estimator's features of one block [32, 32, 3], in obvious NumPy: the kernel's slow twin."""
    y = block.astype(float) @ (0.299, 0.587, 0.114)
    k = np.arange(8)
    dct = np.sqrt(2 / 8) * np.cos(np.pi * np.outer(k, 2 * k + 1) / 16)
    dct[0] /= np.sqrt(2)
    tiles = np.array(
        [[dct @ y[i : i + 8, j : j + 8] @ dct.T for j in range(0, 32, 8)] for i in range(0, 32, 8)]
    )
    radius = np.add.outer(k, k)
    bands = [
        np.mean(tiles[..., (radius >= a) & (radius <= b)] ** 2) for a, b in ((1, 2), (3, 5), (6, 9), (10, 14))
    ]
    gradient = np.mean(np.diff(y, axis=0) ** 2) + np.mean(np.diff(y, axis=1) ** 2)
    cb, cr = (block[:, :, 2] - y) / 1.772, (block[:, :, 0] - y) / 1.402
    means = y.reshape(4, 8, 4, 8).mean(axis=(1, 3))
    return np.log2(1 + np.array([y.var(), gradient, *bands, cb.var() + cr.var(), means.var()]))


def _bench_estimator(picture: Picture, runs: int) -> None:
    blocks = split(picture)[0][:TWIN_BLOCKS]
    fast = _median(lambda: features(blocks), runs)
    slow = _median(lambda: np.array([plain_features(block) for block in blocks]), runs)
    rate, cores = blocks.nbytes / fast / 1e9, numba.get_num_threads()
    print(f"estimator, {len(blocks)} blocks: {fast * 1e3:.2f} ms compiled, {rate:.2f} GB/s on {cores} cores,")
    print(f"{slow / fast:.0f} times as fast as plain NumPy, {slow * 1e3:.1f} ms")


def _bench_allocation(ratios: RatioSet, runs: int) -> None:
    """Equal slope on random convex tables, against sorting as many numbers with NumPy."""
    rng = np.random.default_rng(0)
    drop = np.sort(rng.exponential(size=(MANY_BLOCKS, len(ratios))), axis=1)
    mse = np.ascontiguousarray(drop[:, ::-1].cumsum(axis=1)[:, ::-1])
    known = BlockStatistics(mse[:, 0], mse)
    budget = MANY_BLOCKS * 192
    allocating = _median(lambda: Lagrangian().allocate(known, ratios, budget), min(runs, 3))
    sorting = _median(lambda: np.sort(mse, axis=None), 1)
    print(f"\nallocation, {MANY_BLOCKS:,} blocks over {len(ratios)} ratios: {allocating:.2f} s,")
    print(f"{sorting / allocating:.1f} times as fast as numpy.sort of the table")


def _median(work: Callable[[], object], runs: int) -> float:
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in text.split("x"))
    except ValueError:
        raise InputError(f"size {text!r} is not HxW, such as 512x768") from None
    if height < 1 or width < 1:
        raise InputError(f"size {text} has a side below 1")
    if height * width > pixel_limit():
        raise InputError(f"size {text} is above the limit of {pixel_limit()} pixels")
    check_size(height, width)
    return height, width
