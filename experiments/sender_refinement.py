"""What a sender gains that improves its symbols, picture by picture, by descent through its own decoder.

Validation pictures, the Lagrangian policy, header not counted; each step draws noise anew. What it ends at is
measured on draws that it never saw. After Wang et al. 2023 (NTSCC+, optimisation at the sender).

python experiments/sender_refinement.py FOLDER
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from held_out import held_out_parser, held_out_pictures
from study import guarded
from torch import Tensor
from torch.nn import functional as F

from jscc_sim.channels import AWGN
from jscc_sim.images import Picture
from jscc_sim.nn.conv import ConvCoder
from jscc_sim.nn.pictures import image_of
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.training.block_jscc import conv_coder
from jscc_sim.training.scenario import Scenario, disturb
from jscc_sim.units import BLOCK, budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo

POINTS = ((1.0, "1/16"), (10.0, "1/16"), (10.0, "1/48"))
RATE = 0.03
"""Of Adam, of the latents' root mean square, falling to nothing."""
UNSEEN_DRAWS = 4


def main() -> None:
    """Print a line for each point: mean PSNR before and after, and seconds of a step."""
    parser = held_out_parser(__doc__, pictures=3)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    zoo = load_zoo(arguments.zoo)
    coder = conv_coder(zoo)
    pictures = held_out_pictures(arguments)
    for snr_db, cbr in POINTS:
        found = []
        for picture in pictures:
            height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
            whole = picture[:height, :width]
            budget = budget_uses(parse_cbr(cbr), height, width)
            plan = BlockJSCC(zoo, genie=True).plan(whole, budget, AWGN(snr_db))
            index = torch.from_numpy(plan.index.reshape(1, height // BLOCK, width // BLOCK))
            found.append(refined(coder, whole, index, snr_db, arguments.steps))
        before, after, seconds = np.mean(found, axis=0)
        print(f"{snr_db:g} dB, {cbr}: {before:.3f} -> {after:.3f} dB, {seconds:.2f} s a step", flush=True)


def refined(
    coder: ConvCoder, picture: Picture, index: Tensor, snr_db: float, steps: int
) -> tuple[float, float, float]:
    """PSNR before and after, on unseen draws, and seconds of a step. index: [1, h, w]."""
    image, belief = image_of(picture), torch.tensor([snr_db])
    scenario = Scenario.plain(index, belief)
    used = coder.used[index]

    def error(latents: Tensor, generator: torch.Generator) -> Tensor:
        received, snrs_db = disturb(latents * used[..., None], used, scenario, generator)
        return F.mse_loss(coder.decode(received, index, snrs_db), image)

    @torch.no_grad()
    def psnr_db(latents: Tensor) -> float:
        draws = (torch.Generator().manual_seed(1000 + draw) for draw in range(UNSEEN_DRAWS))
        return float(np.mean([-10 * math.log10(error(latents, draw).item()) for draw in draws]))

    with torch.no_grad():
        first = coder.encode(image, index, belief)
    latents, own = first.clone().requires_grad_(), torch.Generator().manual_seed(0)
    rate = RATE * float(first[used].square().mean().sqrt())
    optimizer = torch.optim.Adam([latents], rate, betas=(0.8, 0.95))
    fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    started = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = error(latents, own).log()
        loss.backward()
        optimizer.step()
        fall.step()
    seconds = (time.perf_counter() - started) / steps
    return psnr_db(first), psnr_db(latents.detach()), seconds


if __name__ == "__main__":
    guarded(main)
