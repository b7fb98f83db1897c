"""Picture quality against definitions written out, and SSIM against scikit-image."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import pytorch_msssim
import torch
from scipy.ndimage import correlate, gaussian_filter
from scipy.signal import convolve2d
from skimage.data import coffee
from skimage.metrics import structural_similarity

from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.metrics import (
    CIEDE2000,
    GMSD,
    METRICS,
    Quality,
    block_errors,
    load_metric,
    load_metrics,
    mean_squared_error,
    measure,
    psnr_of_mse,
)
from jscc_sim.testing import MetricContract


def pair(height, width, seed=0, strength=20):
    """A picture with smooth and busy parts, and a noisy copy."""
    rng = np.random.default_rng(seed)
    waves = 128 + 90 * np.sin(np.arange(height)[:, None, None] / 9 + np.arange(3)) * np.cos(
        np.arange(width)[None, :, None] / 7
    )
    picture = waves + rng.normal(0, 25, (height, width, 3)) * (np.arange(width) > width // 2)[None, :, None]
    noisy = picture + rng.normal(0, strength, picture.shape)
    return tuple(np.clip(p, 0, 255).round().astype(np.uint8) for p in (noisy, picture))


# --- MSE and PSNR ---------------------------------------------------------------------------------


def test_psnr_is_of_all_samples_of_the_whole_picture():
    noisy, picture = pair(37, 53)
    mse = np.mean((noisy.astype(float) - picture) ** 2)
    quality = measure(noisy, picture, metrics=())
    assert quality.mse == pytest.approx(mse, rel=1e-12)
    assert quality.psnr_db == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12)


@pytest.mark.parametrize(("difference", "psnr_db"), [(1, 48.1308), (16, 24.0484), (255, 0)])
def test_psnr_of_a_constant_difference(difference, psnr_db):
    black = np.zeros((12, 20, 3), np.uint8)
    assert measure(black + np.uint8(difference), black).psnr_db == pytest.approx(psnr_db, abs=1e-4)


def test_equal_pictures_have_no_psnr():
    picture = pair(20, 20)[0]
    quality = measure(picture, picture.copy())
    assert quality.mse == 0
    assert quality.psnr_db is None
    assert quality.ssim == pytest.approx(1)
    assert psnr_of_mse(0) is None


def test_order_does_not_matter():
    a, b = pair(20, 33)
    assert mean_squared_error(a, b) == mean_squared_error(b, a)


def test_wide_pictures_do_not_overflow():
    black = np.zeros((1, 20_000, 3), np.uint8)
    assert mean_squared_error(black + np.uint8(255), black) == 255**2


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="cannot be compared"):
        mean_squared_error(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8))


def test_block_errors_clip_the_estimate():
    reference = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    estimate = (reference + np.random.default_rng(3).normal(0, 60, reference.shape)).astype(np.float32)
    expected = [
        np.mean((np.clip(e, 0, 255).astype(float) - r) ** 2) for e, r in zip(estimate, reference, strict=True)
    ]
    np.testing.assert_allclose(block_errors(estimate, reference), expected, rtol=1e-5)


# --- SSIM -----------------------------------------------------------------------------------------


def scikit_ssim(picture, reference):
    return structural_similarity(
        picture, reference, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=2,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(11, 11), (11, 40), (37, 53), (160, 97)])
@pytest.mark.parametrize("strength", [1, 8, 60])
def test_ssim_is_scikit_images(size, strength):
    """Both average where the window fits, so borders do not differ. What does is single precision:
    6e-8 of the second moment (up to 65025) over a constant of 58.5 is 7e-5."""
    noisy, picture = pair(*size, strength=strength)
    quality = measure(noisy, picture)
    assert quality.ssim == pytest.approx(scikit_ssim(noisy, picture), abs=2e-4)


def halved(plane):
    """Wang's `imfilter(plane, ones(2) / 4, "symmetric")`, every other sample: an odd edge meets itself."""
    ahead = correlate(plane, np.full((2, 2), 0.25), mode="reflect", origin=-1)
    return ahead[::2, ::2]


def ms_ssim(picture, reference):
    """Wang et al. 2003 with 5 levels and their weights, written out; mean over the colours."""
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(plane):
        return gaussian_filter(plane, 1.5, truncate=3.5, mode="constant")[5:-5, 5:-5]

    def of_plane(x, y):
        product = 1.0
        for level, weight in enumerate(weights):
            mx, my = blur(x), blur(y)
            contrast = (2 * (blur(x * y) - mx * my) + c2) / (blur(x * x) - mx**2 + blur(y * y) - my**2 + c2)
            luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            similarity = (contrast if level < 4 else contrast * luminance).mean()
            product *= max(similarity, 0) ** weight
            if level < 4:
                x, y = halved(x), halved(y)
        return product

    planes = [(picture[:, :, i].astype(float), reference[:, :, i].astype(float)) for i in range(3)]
    return np.mean([of_plane(x, y) for x, y in planes])


@pytest.mark.parametrize("size", [(176, 192), (161, 163), (175, 333), (257, 255), (162, 164)])
@pytest.mark.parametrize("strength", [5, 60])
def test_ms_ssim_is_its_definition(size, strength):
    """At odd sides too, of any level: 162 halves to 81. What differs is single precision, as above."""
    noisy, picture = pair(*size, strength=strength)
    assert measure(noisy, picture).ms_ssim == pytest.approx(ms_ssim(noisy, picture), abs=2e-4)


@pytest.mark.parametrize("size", [(161, 161), (161, 163), (175, 333), (257, 255)])
def test_ms_ssim_of_a_coarse_photograph(size):
    """Where zeros around odd levels would give 0.03 to 0.06 too much."""
    picture = coffee()[: size[0], : size[1]]
    coarse = picture[np.ix_(*(np.arange(side) // 16 * 16 for side in size))]
    assert measure(coarse, picture.copy()).ms_ssim == pytest.approx(ms_ssim(coarse, picture), abs=2e-4)


def test_ms_ssim_is_the_librarys_where_every_level_is_even():
    noisy, picture = pair(192, 272)
    planes = [torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in (noisy, picture)]
    expected = float(pytorch_msssim.ms_ssim(*planes, data_range=255))
    assert measure(noisy, picture).ms_ssim == pytest.approx(expected, abs=1e-6)


def test_quality_does_not_depend_on_the_default_dtype():
    noisy, picture = pair(161, 170)
    expected = measure(noisy, picture)
    torch.set_default_dtype(torch.float64)
    try:
        assert measure(noisy, picture) == expected
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("size", "ssim", "ms"),
    [((1, 1), 0, 0), ((10, 300), 0, 0), ((11, 11), 1, 0), ((160, 300), 1, 0), ((161, 161), 1, 1)],
)
def test_no_value_where_the_window_does_not_fit(size, ssim, ms):
    quality = measure(*pair(*size))
    assert (quality.ssim is not None) == ssim
    assert (quality.ms_ssim is not None) == ms
    assert quality.psnr_db is not None


def test_structure_is_left_out_on_request():
    noisy, picture = pair(170, 170)
    quality = measure(noisy, picture, metrics=())
    assert quality == Quality(quality.mse, {})
    assert (quality.ssim, quality.ms_ssim) == (None, None)


# --- the contract, and those of perception and colour -------------------------------------------------


@pytest.fixture(params=sorted(METRICS))
def shipped(request):
    return load_metric(request.param)


class TestShipped(MetricContract):
    @pytest.fixture(autouse=True)
    def _set(self, shipped):
        self.metric = shipped


def damaged(name, kind):
    picture = read_picture(name)[20:212, 40:296]
    if kind == "noisy":
        noise = np.random.default_rng(7).normal(0, 12, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8), picture
    return gaussian_filter(picture.astype(float), (1.5, 1.5, 0)).round().astype(np.uint8), picture


@pytest.mark.parametrize(
    ("name", "kind", "gmsd", "ciede2000"),
    [
        ("chelsea", "noisy", 0.0302971218, 7.799942),
        ("chelsea", "blurred", 0.0661992657, 2.725965),
        ("coffee", "noisy", 0.0464514300, 5.790780),
        ("coffee", "blurred", 0.0691282557, 2.218093),
    ],
)
def test_other_programs_agree(name, kind, gmsd, ciede2000):
    """GMSD by IQA-PyTorch 0.1.16, CIEDE2000 by colour-science 0.4.7, whose white point has more digits."""
    pair_of = damaged(name, kind)
    assert GMSD()(*pair_of) == pytest.approx(gmsd, abs=1e-8)
    assert CIEDE2000()(*pair_of) == pytest.approx(ciede2000, abs=1e-3)


def test_gmsd_of_odd_sides_is_the_authors_definition():
    """Written out with two-dimensional convolutions, zeros around, as their program has it."""
    noisy, picture = pair(37, 53)
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def magnitude(rgb):
        luma = rgb @ np.array([0.299, 0.587, 0.114])
        mean = convolve2d(luma, np.full((2, 2), 0.25))[1:, 1:][::2, ::2]
        return np.sqrt(sum(convolve2d(mean, k, "same") ** 2 for k in (kernel, kernel.T)))

    one, other = magnitude(noisy), magnitude(picture)
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    assert GMSD()(noisy, picture) == pytest.approx(similarity.std(ddof=1), rel=1e-12)


def test_colour_differences_of_long_pictures_are_those_of_their_parts():
    noisy, picture = pair(700, 500)
    halves = [CIEDE2000()(noisy[rows], picture[rows]) for rows in (slice(350), slice(350, None))]
    assert CIEDE2000()(noisy, picture) == pytest.approx(np.mean(halves), rel=1e-12)


# --- plug-ins -----------------------------------------------------------------------------------------

MINE = """
from dataclasses import dataclass
from typing import ClassVar
from jscc_sim.metrics import Metric

@dataclass(frozen=True)
class Mine(Metric):
    '''The largest error.'''
    column: ClassVar[str] = "largest"
    label: ClassVar[str] = "largest error"
    power: int = 1
    scale: float = 1.0

    def _measure(self, picture, reference):
        return {returns}
"""
LARGEST = "float(abs(picture.astype(int) - reference).max()) ** self.power * self.scale"


@pytest.fixture
def mine(tmp_path):
    def write(returns=LARGEST, text=MINE):
        path = tmp_path / "mine.py"
        path.write_text(text.replace("{returns}", returns))
        return f"{path}:Mine"

    return write


def test_a_metric_of_a_file(mine):
    noisy, picture = pair(40, 50)
    largest = abs(noisy.astype(int) - picture).max()
    metrics = load_metrics(f"psnr,{mine()}:power=2,scale=0.5")
    assert [metric.column for metric in metrics] == ["psnr_db", "largest"]
    assert measure(noisy, picture, metrics).values["largest"] == largest**2 / 2


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        ("float('nan')", "metric Mine returned nan, which is no finite number"),
        ("'good'", "metric Mine returned 'good', which is no finite number"),
        ("True", "metric Mine returned True"),
        ("1 / 0", "metric Mine raised ZeroDivisionError"),
        ("exit()", "metric Mine raised SystemExit"),
    ],
)
def test_a_broken_metric_is_named(mine, returns, why):
    with pytest.raises(InputError, match=why):
        load_metric(mine(returns))(*pair(20, 20))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"largest"', '"Largest error"', "column .Largest error. is no name"),
        ('"largest error"', '""', "no label"),
        ("_measure", "measure", "does not define _measure"),
        ("class Mine(Metric)", "class Mine(object)", "no subclass of Metric"),
    ],
)
def test_what_is_no_metric_is_refused(mine, old, new, why):
    with pytest.raises(InputError, match=why):
        load_metric(mine(text=MINE.replace(old, new)))


def test_one_column_twice():
    with pytest.raises(InputError, match="column ssim is there twice"):
        load_metrics("ssim,psnr,ssim")
    with pytest.raises(InputError, match=r"Metric .psrn. is unknown: it can be psnr, ssim"):
        load_metrics("psrn")


def test_metrics_by_the_command_line(mine, capsys, tmp_path):
    words = ["transmit", "astronaut", "--zoo", "linear", "--cbr", "1/48", "--snr-db", "5"]
    assert main([*words, "--metrics", f"psnr,gmsd,{mine()}", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["ssim"], row["largest"] > 10, 0 < row["gmsd"] < 1) == (None, True, True)
    assert main([*words, "--metrics", "gmsd,ciede2000"]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split()[-3:] == ["GMSD", "CIEDE2000", "seconds"]
    assert float(line[: len(heading)].split()[-3]) == pytest.approx(row["gmsd"], abs=1e-4)
    assert main(["metrics"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(METRICS)


def test_a_column_of_the_row_itself_is_refused(mine, capsys):
    path = mine(text=MINE.replace('"largest"', '"uses"'))
    words = ["transmit", "astronaut", "--zoo", "linear", "--cbr", "1/48", "--snr-db", "5"]
    assert main([*words, "--metrics", path]) == 2
    assert "column uses of Mine" in capsys.readouterr().err
