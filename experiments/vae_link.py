"""The analog VAE link beside the linear transform of 4x4 pixels with as many coefficients.

python experiments/vae_link.py --images FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from jscc_sim.channels import AWGN, Channel, parse_channel
from jscc_sim.images import Picture, list_pictures, read_picture
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.nn.patch_klt import PatchKLT
from jscc_sim.nn.vae_link import CHOICES
from jscc_sim.systems.vae_link import VAE, VAELink
from jscc_sim.weights import Model

SNRS_DB = (-2.0, 0.0, 2.0, 5.0, 8.0, 10.0, 15.0, 20.0, 60.0)
FADING = ("rayleigh-fast", "rayleigh-block:64")


def main() -> None:
    """Print mean PSNR over the SNR (60 dB: no noise), and over fading at 10 dB."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--model", default="", help="folder of the weights (the released ones)")
    arguments = parser.parse_args()
    pictures = [read_picture(path) for path in list_pictures(arguments.images)]
    klt = PatchKLT.beside(Model.find(VAE, arguments.model))
    channels: list[Channel] = [AWGN(snr_db) for snr_db in SNRS_DB]
    channels += [parse_channel(name, 10.0) for name in FADING]
    print(" " * 10 + "".join(f"{snr_db:7g}" for snr_db in SNRS_DB) + "  " + "  ".join(FADING))
    for n in CHOICES:
        send = partial(analog, VAELink(n, arguments.model))
        print_line(f"{VAE}:{n}", [mean_psnr_db(send, pictures, channel) for channel in channels])
        linear = partial(by_klt, klt, n)
        print_line(f"KLT {n}", [mean_psnr_db(linear, pictures, channel) for channel in channels])


def print_line(name: str, figures: list[float]) -> None:
    """A row of the table."""
    print(f"{name:10}" + "".join(f"{figure:7.2f}" for figure in figures), flush=True)


def analog(system: VAELink, picture: Picture, channel: Channel) -> Picture:
    """By the link, header and all."""
    budget = 3 * picture.shape[0] * picture.shape[1]
    return system.transmit(picture, channel, budget, np.random.default_rng(0)).picture


def by_klt(klt: PatchKLT, n: int, picture: Picture, channel: Channel) -> Picture:
    """By the rival, which needs no header."""
    return klt.transmit(picture, n, channel, np.random.default_rng(0))


def mean_psnr_db(
    send: Callable[[Picture, Channel], Picture], pictures: list[Picture], channel: Channel
) -> float:
    """Mean of the pictures' PSNRs."""
    return float(np.mean([psnr_of_mse(mean_squared_error(send(p, channel), p)) for p in pictures]))


if __name__ == "__main__":
    main()
