"""Train deepjscc.py through the channel that it is measured on: `python train.py FOLDER`, five minutes.

Without a folder it learns the photographs that come with scikit-image, by heart: enough to see it work.
"""

import argparse
import math
import time

import numpy as np
import torch
from deepjscc import WEIGHTS, Network
from safetensors.torch import save_file
from torch.nn import functional as F

from jscc_sim.channels import parse_channel
from jscc_sim.errors import InputError, guarded
from jscc_sim.images import BUILTIN, read_picture
from jscc_sim.nn.channel import send
from jscc_sim.nn.pictures import unit_range
from jscc_sim.training.data import Crops, load, split_folder

CROPS, SIDE, RATE = 16, 64, 2e-3
SNR_DB = 0.0, 20.0
SAID_SECONDS = 15.0


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="of pictures")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=10**9, help="at most so many")
    parser.add_argument("--channel", default="awgn", help="as for jscc-sim transmit")
    arguments = parser.parse_args()
    if not arguments.minutes > 0 or arguments.steps < 1:
        raise InputError(f"{arguments.minutes:g} minutes and {arguments.steps} steps are no training")
    channel = parse_channel(arguments.channel, SNR_DB[1])
    if arguments.folder:
        pictures = load(split_folder(arguments.folder).training)
    else:
        pictures = [read_picture(name) for name in BUILTIN]
    network = train(Crops(pictures, SIDE), channel, arguments.minutes * 60, arguments.steps)
    save_file(network.state_dict(), WEIGHTS)
    print(f"{WEIGHTS} written")


def train(crops, channel, seconds, steps):
    """Every crop is a frame: its own power, fading, noise and SNR."""
    torch.manual_seed(0)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    network = Network()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    started, losses, said = time.monotonic(), [], 0.0
    for step in range(steps):
        spent = time.monotonic() - started
        progress = max(spent / seconds, step / steps)
        if progress >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
        images = unit_range(crops.draw(CROPS, rng))
        snr_db = torch.empty(len(images)).uniform_(*SNR_DB, generator=generator)
        heard = send(network.encode(images), channel, generator, snr_db)
        loss = F.mse_loss(network.decode(heard.latents), images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if spent - said > SAID_SECONDS:
            said = spent
            psnr_db = -10 * math.log10(np.mean(losses[-100:]))
            print(f"step {step}, {spent:.0f} s: {psnr_db:.2f} dB", flush=True)
    return network


if __name__ == "__main__":
    guarded(main)
