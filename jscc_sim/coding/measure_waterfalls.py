"""Measure block error rates on AWGN: python -m jscc_sim.coding.measure_waterfalls --workers 2 --out FILE

Each scheme and block length meets SNRs a quarter of a decibel apart, from where nearly all blocks fail to
where no more than one in a thousand does. Blocks of random bits are coded, sent and decoded just as
`transport` does it, until TELLING have failed or MOST were sent, and at the last SNR until TAIL were, for all
that is chosen lies beyond it. Takes about an hour and a half on two cores. A run that is stopped goes on from
the rows that it wrote.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
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

STEP_DB = 0.25
TELLING, MOST, TAIL, BATCH = 100, 3000, 6000, 50
TARGET, HOPELESS = 1e-3, 0.9
COLUMNS = ("mode", "block_bits", "snr_db", "blocks", "errors")
"""Of the table: how many blocks were sent at an SNR, and how many of them did not arrive as sent."""

SEED = 20261


Row = tuple[str, int, float, int, int]


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
        received = equalise(channel(transport.encode(sent, scheme, block_bits), rng))
        found, _ = transport.decode(
            received.symbols, received.gain, received.noise_variance, scheme, block_bits
        )
        blocks += BATCH
        errors += int((found != sent).reshape(BATCH, content).any(axis=1).sum())
    return blocks, errors


def waterfall(scheme: Scheme, block_bits: int) -> list[Row]:
    """The rows of one curve, by rising SNR."""
    import torch

    torch.set_num_threads(1)
    rows = []

    def rate_at(snr_db: float) -> float:
        blocks, errors = failures(scheme, block_bits, snr_db)
        rows.append((scheme.name, block_bits, snr_db, blocks, errors))
        return errors / blocks

    start = round((snr_db_for(scheme) + 1.0) / STEP_DB) * STEP_DB
    above = below = start
    while rate_at(above) > TARGET:
        above += STEP_DB
    worst = max(errors / blocks for *_, blocks, errors in rows)
    while worst < HOPELESS:
        below -= STEP_DB
        worst = rate_at(below)
    return sorted(rows, key=lambda row: row[2])


def lengthened(row: Row) -> list[Row]:
    """A curve's last row, sent on to what is wanted now; and further ones if it is not the last after all."""
    import torch

    torch.set_num_threads(1)
    name, block_bits, snr_db, *known = row
    scheme = find_scheme(name)
    rows = [(name, block_bits, snr_db, *failures(scheme, block_bits, snr_db, (known[0], known[1])))]
    while rows[-1][4] > TARGET * rows[-1][3]:
        snr_db += STEP_DB
        rows.append((name, block_bits, snr_db, *failures(scheme, block_bits, snr_db)))
    return rows


def main() -> None:
    """Measure what is missing of the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", default=str(Path(__file__).with_name("waterfalls.csv")))
    options = parser.parse_args()
    out = Path(options.out)
    rows = _read(out) if out.exists() else []
    last = {(row[0], row[1]): row for row in rows}
    missing = [(s, k) for k, s in product(BLOCK_BITS[::-1], SCHEMES) if (s.name, k) not in last]
    short = [row for row in last.values() if row[3] < TAIL]
    order = {(s.name, k): (k, number) for k in BLOCK_BITS for number, s in enumerate(SCHEMES)}
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        jobs: list[Future[list[Row]]] = [pool.submit(waterfall, *curve) for curve in missing]
        jobs += [pool.submit(lengthened, row) for row in short]
        for job in tqdm(as_completed(jobs), total=len(jobs)):
            found = job.result()
            again = {row[:3] for row in found}
            rows = [row for row in rows if row[:3] not in again] + found
            rows.sort(key=lambda row: (*order[row[0], row[1]], row[2]))
            with out.open("w", newline="") as handle:
                writer = csv.writer(handle, lineterminator="\n")
                writer.writerows([COLUMNS, *rows])


def _read(path: Path) -> list[Row]:
    with path.open(newline="") as handle:
        return [(r[0], int(r[1]), float(r[2]), int(r[3]), int(r[4])) for r in list(csv.reader(handle))[1:]]


if __name__ == "__main__":
    main()
