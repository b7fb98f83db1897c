"""Measure block error rates on AWGN: python experiments/measure_waterfalls.py --workers 2 --out FILE

Each scheme and block length meets SNRs a quarter of a decibel apart, from where nearly all blocks fail to
where no more than one in a thousand does. Blocks of random bits are coded, sent and decoded just as
`transport` does it, until TELLING have failed or MOST were sent, and at the last SNR until TAIL were, for all
that is chosen lies beyond it. Takes about an hour and a half on two cores. A run that is stopped goes on from
the rows that it wrote.
"""

from __future__ import annotations

import argparse
import csv
import io
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from importlib.resources import files
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jscc_sim.channels import AWGN, equalise
from jscc_sim.coding import transport
from jscc_sim.coding.capacity import snr_db_for
from jscc_sim.coding.crc import LONG_CRC_BITS
from jscc_sim.coding.mcs import BLOCK_BITS, SCHEMES, Scheme, find_scheme
from jscc_sim.coding.waterfalls import Point, read_points
from jscc_sim.errors import guarded
from jscc_sim.files import write_whole

STEP_DB = 0.25
TELLING, MOST, TAIL, BATCH = 100, 3000, 6000, 50
TARGET, HOPELESS = 1e-3, 0.9
SEED = 20261


def failures(
    scheme: Scheme, block_bits: int, snr_db: float, known: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """(blocks, errors) of one point. known: the same of an earlier run that stopped sooner."""
    rng = np.random.default_rng([SEED, SCHEMES.index(scheme), block_bits, round(4 * (snr_db + 100))])
    channel, content = AWGN(snr_db), block_bits - LONG_CRC_BITS
    blocks = errors = 0
    while errors < TELLING and (blocks < MOST or (blocks < TAIL and errors <= TARGET * blocks)):
        sent = rng.integers(0, 2, BATCH * content, dtype=np.uint8)
        if blocks < known[0]:
            rng.spawn(3)  # what the channel draws from
            blocks, errors = blocks + BATCH, known[1] if blocks + BATCH == known[0] else 0
            continue
        symbols = transport.encode(sent, scheme, block_bits, scrambled=False)  # random as they are
        received = equalise(channel(symbols, rng))
        found, _ = transport.decode(received, scheme, block_bits, scrambled=False)
        blocks += BATCH
        errors += int((found != sent).reshape(BATCH, content).any(axis=1).sum())
    return blocks, errors


def waterfall(scheme: Scheme, block_bits: int) -> list[Point]:
    """The points of one curve, by rising SNR."""
    start = round((snr_db_for(scheme) + 1.0) / STEP_DB) * STEP_DB
    points = _upwards(scheme, block_bits, start)
    while max(point.rate for point in points) < HOPELESS:
        points.insert(0, _point(scheme, block_bits, points[0].snr_db - STEP_DB))
    return points


def lengthened(last: Point) -> list[Point]:
    """A curve's last point, sent on to what is wanted now; and further ones if it is not the last after
    all."""
    return _upwards(find_scheme(last.mode), last.block_bits, last.snr_db, (last.blocks, last.errors))


def main() -> None:
    """Measure what is missing of the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", default=str(files("jscc_sim.coding") / "waterfalls.csv"))
    options = parser.parse_args()
    out = Path(options.out)
    points = read_points(out.read_text()) if out.exists() else []
    last = {(point.mode, point.block_bits): point for point in points}
    missing = [(s, k) for k, s in product(BLOCK_BITS[::-1], SCHEMES) if (s.name, k) not in last]
    short = [point for point in last.values() if point.blocks < TAIL]
    order = {(s.name, k): (k, number) for k in BLOCK_BITS for number, s in enumerate(SCHEMES)}
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        jobs: list[Future[list[Point]]] = [pool.submit(waterfall, *curve) for curve in missing]
        jobs += [pool.submit(lengthened, point) for point in short]
        for job in tqdm(as_completed(jobs), total=len(jobs)):
            found = job.result()
            again = {point[:3] for point in found}
            points = [point for point in points if point[:3] not in again] + found
            points.sort(key=lambda point: (*order[point.mode, point.block_bits], point.snr_db))
            _write(points, out)


def _upwards(scheme: Scheme, block_bits: int, snr_db: float, known: tuple[int, int] = (0, 0)) -> list[Point]:
    """From an SNR on to the first at which no more than TARGET fail. known: see `failures`."""
    points = [_point(scheme, block_bits, snr_db, known)]
    while points[-1].rate > TARGET:
        points.append(_point(scheme, block_bits, points[-1].snr_db + STEP_DB))
    return points


def _point(scheme: Scheme, block_bits: int, snr_db: float, known: tuple[int, int] = (0, 0)) -> Point:
    import torch

    torch.set_num_threads(1)
    return Point(scheme.name, block_bits, snr_db, *failures(scheme, block_bits, snr_db, known))


def _write(points: list[Point], path: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Point._fields, *points])
    write_whole(path, lambda handle: handle.write(text.getvalue().encode()))


if __name__ == "__main__":
    guarded(main)
