"""Fading within a frame: what interleaving is worth, and that the decoder knows the noise of each use.

Validation pictures, perfect channel knowledge, MMSE, genie side information, one allocation for all.

python experiments/fades_within_frames.py FOLDER
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from held_out import held_out_parser, held_out_pictures
from numpy.typing import NDArray
from study import guarded

from jscc_sim.allocation import Lagrangian
from jscc_sim.blocks import BlockGrid, reassemble
from jscc_sim.channels import Channel, Equalised, equalise, parse_channel
from jscc_sim.coding.interleaving import places
from jscc_sim.images import Picture
from jscc_sim.metrics import psnr_between
from jscc_sim.nn.bank import block_slices
from jscc_sim.nn.conv_bank import believable, block_means
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo

CHANNELS = ("rayleigh-fast", "rayleigh-block:64", "rayleigh-block:256")
SNRS_DB = (4.0, 10.0, 16.0)
CBR = parse_cbr("1/16")

Floats = NDArray[np.float64]
TOLD: dict[str, Callable[[Floats, Floats], Floats]] = {
    "each use": lambda variance, of_block: variance,
    "block means": lambda variance, of_block: of_block,
    "frame mean": lambda variance, of_block: np.full_like(variance, of_block.mean()),
}
"""What the decoder is told: (noise variance of each use, its block's mean) -> the variance it is given."""

WAYS = ("block order, each use", *TOLD)


def main() -> None:
    """Print a line for each channel and SNR: mean PSNR in block order, and interleaved by what is told."""
    arguments = held_out_parser(__doc__, pictures=12).parse_args()
    pictures = held_out_pictures(arguments)
    system = BlockJSCC(load_zoo(arguments.zoo), Lagrangian(), genie=True)
    for name in CHANNELS:
        for snr_db in SNRS_DB:
            channel = parse_channel(name, snr_db)
            found = [psnrs_db(system, channel, picture, n) for n, picture in enumerate(pictures)]
            shown = (f"{way} {mean:.2f} dB" for way, mean in zip(WAYS, np.mean(found, axis=0), strict=True))
            print(f"{name}, {snr_db:g} dB:", "; ".join(shown), flush=True)


def psnrs_db(system: BlockJSCC, channel: Channel, picture: Picture, seed: int) -> list[float | None]:
    """Of one picture, by WAYS."""
    frame = system.encode(picture, budget_uses(CBR, *picture.shape[:2]), channel)
    header, where = frame.header, places(len(frame.symbols))
    assert header is not None
    bank, grid = system.zoo_of(header.system_id).bank, BlockGrid(frame.height, frame.width)
    offsets, uses = block_slices(frame.index, system.ratios), system.ratios.array[frame.index]

    def psnr_db(payload: Equalised) -> float | None:
        blocks = bank.decode(payload, header.gain, grid, frame.index, header.sender_snr_db)
        return psnr_between(reassemble(blocks, grid), picture)

    found = [psnr_db(equalise(channel(frame.symbols[where], np.random.default_rng(seed))))]
    heard = equalise(channel(frame.symbols, np.random.default_rng(seed))).at(where)
    variance = heard.unbiased_variance
    of_block = np.repeat(block_means(believable(variance), offsets, uses), uses)
    return found + [psnr_db(with_variance(heard, told(variance, of_block))) for told in TOLD.values()]


def with_variance(received: Equalised, variance: Floats) -> Equalised:
    """The same symbols, held to be as noisy as this."""
    return replace(received, noise_variance=variance * np.square(received.gain))


if __name__ == "__main__":
    guarded(main)
