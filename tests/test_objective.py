"""What networks are trained for agrees with what pictures are measured by."""

import math

import numpy as np
import pytest
import torch
from processes import photograph

from jscc_sim.metrics import MSSSIM, psnr_between
from jscc_sim.nn.conv import ConvArchitecture
from jscc_sim.nn.pictures import image_of
from jscc_sim.training.block_jscc import BlockJSCCTask
from jscc_sim.training.data import Crops
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.objective import LEAST_SIDE, MS_SSIM, OBJECTIVES, PSNR, logarithm

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = ConvArchitecture(fine=8, coarse=16, encoder_fine=1, encoder_coarse=1, decoder_coarse=1, decoder_fine=1)


def pictures():
    """Two photographs, and the same with noise."""
    rng = np.random.default_rng(0)
    clean = [photograph(LEAST_SIDE, LEAST_SIDE + 32, name) for name in ("astronaut", "coffee")]
    noisy = [np.clip(p + rng.normal(0, 20, p.shape), 0, 255).astype(np.uint8) for p in clean]
    return clean, noisy


def test_errors_are_those_of_the_metrics():
    clean, noisy = pictures()
    x, y = (torch.cat([image_of(p) for p in several]) for several in (noisy, clean))
    squared, dissimilar = (OBJECTIVES[name](x, y) for name in (PSNR, MS_SSIM))
    for number, (picture, reference) in enumerate(zip(noisy, clean, strict=True)):
        assert -10 * math.log10(squared[number]) == pytest.approx(psnr_between(picture, reference), abs=1e-4)
        assert 1 - dissimilar[number] == pytest.approx(MSSSIM()(picture, reference), abs=1e-5)


@pytest.mark.parametrize("name", [PSNR, MS_SSIM])
def test_gradients_are_finite_and_lead_down(name):
    """From a negative, too, whose contrasts are reversed."""
    clean, noisy = pictures()
    reference = image_of(clean[0])
    for start in (image_of(noisy[0]), 1 - reference):
        picture = start.clone().requires_grad_()
        before = OBJECTIVES[name](picture, reference).sum()
        before.backward()
        assert torch.isfinite(picture.grad).all()
        lower = OBJECTIVES[name](start - 1e-3 * picture.grad / picture.grad.abs().max(), reference).sum()
        assert lower < before


def test_bf16_around_it_changes_nothing():
    """Variances are small differences of large means."""
    clean, noisy = pictures()
    x, y = (torch.cat([image_of(p) for p in several]) for several in (noisy, clean))
    plain = OBJECTIVES[MS_SSIM](x, y)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(OBJECTIVES[MS_SSIM](x, y), plain)


@pytest.mark.parametrize("name", [PSNR, MS_SSIM])
def test_pictures_without_error_have_a_finite_logarithm(name):
    white = torch.ones(1, 3, LEAST_SIDE, LEAST_SIDE)
    for error in (0.0, 1e-4, 3e-3):
        picture = (white - error).requires_grad_()
        found = logarithm(name, picture, white)
        found.backward()
        assert torch.isfinite(found).all()
        assert torch.isfinite(picture.grad).all()


def test_a_network_learns_similarity():
    clean, _ = pictures()
    task = BlockJSCCTask(TINY, objective=MS_SSIM)
    recipe = Recipe(steps=40, crops=2, side=LEAST_SIDE, warm_up=5, kernel_rate=2e-2, other_rate=5e-3)
    trainer, held_out = Trainer(task, recipe), [photograph(224, 192, "chelsea")]
    before, crops = trainer.validate(held_out), Crops(clean, recipe.side)
    for _ in range(40):
        trainer.advance(crops)
    after = trainer.validate(held_out)
    assert set(after) == {"PSNR", "MS-SSIM dB"}
    assert after["MS-SSIM dB"] > before["MS-SSIM dB"] + 0.5
    assert set(Trainer(BlockJSCCTask(TINY), recipe).validate(held_out)) == {"PSNR"}
