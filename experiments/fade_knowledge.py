"""What it is worth that the decoder is told of fading: each use's noise, its block's mean or the frame's.

Validation pictures, perfect channel knowledge, MMSE. The allocation is the same for all three.

python experiments/fade_knowledge.py FOLDER
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from held_out import held_out_parser, held_out_pictures
from numpy.typing import NDArray
from study import guarded

from jscc_sim.allocation import Lagrangian
from jscc_sim.blocks import Grid, reassemble
from jscc_sim.channels import Equalised, equalise, parse_channel
from jscc_sim.coding.interleaving import places
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
"""What is told: (noise variance of each use, its block's mean) -> the variance that the decoder is given."""


def main() -> None:
    """Print a line for each channel and SNR: mean PSNR by what the decoder is told."""
    parser = held_out_parser(__doc__, pictures=12)
    arguments = parser.parse_args()
    pictures = held_out_pictures(arguments)
    system = BlockJSCC(load_zoo(arguments.zoo), Lagrangian(), genie=True)
    for name in CHANNELS:
        for snr_db in SNRS_DB:
            channel, psnrs = parse_channel(name, snr_db), []
            for number, picture in enumerate(pictures):
                frame = system.encode(picture, budget_uses(CBR, *picture.shape[:2]), channel)
                received = equalise(channel(frame.symbols, np.random.default_rng(number)))
                received = received.at(places(len(frame.symbols)))
                header = frame.header
                assert header is not None
                ratios, grid = system.ratios, Grid(frame.height, frame.width)
                offsets, uses = block_slices(header.index, ratios), ratios.array[header.index]
                variance = received.unbiased_variance
                of_block = np.repeat(block_means(believable(variance), offsets, uses), uses)
                found = []
                for told in TOLD.values():
                    payload = with_variance(received, told(variance, of_block))
                    bank = system.zoo_of(header.zoo_id).bank
                    blocks = bank.decode(payload, header.gain, grid, header.index, header.sender_snr_db)
                    found.append(psnr_between(reassemble(blocks, grid), picture))
                psnrs.append(found)
            shown = (f"{k} {m:.2f} dB" for k, m in zip(TOLD, np.mean(psnrs, axis=0), strict=True))
            print(f"{name}, {snr_db:g} dB:", ", ".join(shown), flush=True)


def with_variance(received: Equalised, variance: Floats) -> Equalised:
    """The same symbols, held to be as noisy as this."""
    return replace(received, noise_variance=variance * np.square(received.gain))


if __name__ == "__main__":
    guarded(main)
