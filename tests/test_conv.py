"""The convolutional bank with a tiny random network: bookkeeping, strips and edges, not quality."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from jscc_sim.blocks import BlockGrid, split
from jscc_sim.channels import Equalised, Fading, Received, complex_normal, equalise
from jscc_sim.nn import conv_bank
from jscc_sim.nn.bank import block_energies, block_slices
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
from jscc_sim.nn.conv_bank import ConvBank

USES = (0, 8, 24, 64)


@pytest.fixture(scope="module")
def bank():
    """The depth of the released network, and residual branches as strong as the rest: what reaches
    far in the picture is not faint."""
    torch.manual_seed(0)
    coder = ConvCoder(ConvArchitecture(USES, fine=8, coarse=12, embedding=8))
    with torch.no_grad():
        for name, weight in coder.named_parameters():
            if name.endswith("second.weight"):
                weight.mul_(5)
    return ConvBank(coder)


def case(height, width, seed=0):
    rng = np.random.default_rng(seed)
    blocks, grid = split(rng.integers(0, 256, (height, width, 3), np.uint8))
    return blocks, grid, rng.integers(0, len(USES), len(grid))


def clean(latents, variance=0.1):
    return Equalised(latents, np.ones(len(latents)), np.full(len(latents), variance))


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 100), (200, 90)])
def test_symbols_are_as_many_as_the_ratios_say(bank, size):
    blocks, grid, index = case(*size)
    latents = bank.encode(blocks, grid, index, 10)
    assert latents.dtype == np.complex64
    assert latents.shape == (bank.ratios.spent(index),)
    decoded = bank.decode(clean(latents), 1.0, grid, index, 10)
    assert decoded.dtype == np.float32
    assert decoded.shape == blocks.shape
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("size", [(1, 1), (100, 90)])
def test_frame_without_payload(bank, size):
    blocks, grid, _ = case(*size)
    index = np.zeros(len(grid), np.int64)
    latents = bank.encode(blocks, grid, index, 10)
    assert len(latents) == 0
    assert np.isfinite(bank.decode(clean(latents), 1.0, grid, index, 10)).all()


@pytest.mark.parametrize("ratio", range(1, len(USES)))
def test_every_ratio_alone(bank, ratio):
    blocks, grid, _ = case(64, 64)
    latents = bank.encode(blocks, grid, np.full(4, ratio), 10)
    assert latents.shape == (4 * USES[ratio],)
    assert (np.abs(latents) > 0).all()


def test_deterministic(bank):
    blocks, grid, index = case(150, 150)
    first, second = (bank.encode(blocks, grid, index, 10) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    pictures = [bank.decode(clean(first), 1.0, grid, index, 10) for _ in range(2)]
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("strip_blocks", [1, 5, 13])
def test_strips_make_no_difference(bank, monkeypatch, strip_blocks):
    blocks, grid, index = case(32 * 13, 32 * 4)
    noise = complex_normal(bank.ratios.spent(index), 0.1, np.random.default_rng(1))
    assert len(conv_bank.strips(grid)) == 1
    latents = bank.encode(blocks, grid, index, 10)
    decoded = bank.decode(clean(latents + noise), 1.0, grid, index, 10)
    monkeypatch.setattr(conv_bank, "STRIP_BLOCKS", strip_blocks)
    assert len(conv_bank.strips(grid)) > 4
    np.testing.assert_allclose(bank.encode(blocks, grid, index, 10), latents, atol=1e-4)
    stripped = bank.decode(clean(latents + noise), 1.0, grid, index, 10)
    np.testing.assert_allclose(stripped / 255, decoded / 255, atol=1e-4)


@pytest.mark.parametrize(("window_rows", "halo"), [(1, conv_bank.HALO), (3, 6)])
@pytest.mark.parametrize("strip_blocks", [1, 7, 40])
def test_strips_tile_the_picture(monkeypatch, strip_blocks, window_rows, halo):
    """From windows to windows where there are some."""
    monkeypatch.setattr(conv_bank, "STRIP_BLOCKS", strip_blocks)
    for rows, columns in ((1, 1), (1, 50), (50, 1), (17, 6)):
        parts = conv_bank.strips(BlockGrid(32 * rows, 32 * columns), window_rows)
        assert [row for top, bottom, _, _ in parts for row in range(top, bottom)] == list(range(rows))
        for top, bottom, above, below in parts:
            assert (bottom - top) * columns <= max(strip_blocks, columns * window_rows)
            assert top % window_rows == 0
            assert above == max(top - halo, 0)
            assert below == min(bottom + halo, rows)


def test_symbols_reach_the_decoder_where_the_encoder_left_them(bank, monkeypatch):
    """Block order, channels and cells, and the frame's gain undone."""
    blocks, grid, index = case(70, 130)
    ratio = torch.from_numpy(index.reshape(1, grid.rows, grid.columns))
    sent, received = {}, {}
    encode, decode = bank.coder.encode, bank.coder.decode

    def keep_sent(*arguments):
        sent["latents"] = encode(*arguments)
        return sent["latents"]

    def keep_received(latents, *arguments):
        received["latents"] = latents
        return decode(latents, *arguments)

    monkeypatch.setattr(bank.coder, "encode", keep_sent)
    monkeypatch.setattr(bank.coder, "decode", keep_received)
    latents = bank.encode(blocks, grid, index, 10)
    bank.decode(clean((2.5 * latents).astype(np.complex64)), 2.5, grid, index, 10)
    torch.testing.assert_close(received["latents"], sent["latents"], rtol=1e-5, atol=1e-6)
    ends = np.cumsum(USES) // 8  # the channels of a ratio follow those of the one below
    for y, x in np.ndindex(grid.rows, grid.columns):
        filled = (sent["latents"][0, y, x] != 0).any(-1).nonzero()[:, 0].tolist()
        end = ends[ratio[0, y, x]]
        assert filled == list(range(end - USES[ratio[0, y, x]] // 8, end))


def test_a_block_knows_its_own_symbols(bank):
    """Other content in one block changes its symbols most, and none that lie beyond the halo."""
    blocks, grid, _ = case(32 * 9, 32)
    index = np.full(9, 2)
    other = blocks.copy()
    other[0] = 255 - other[0]
    change = bank.encode(blocks, grid, index, 10) - bank.encode(other, grid, index, 10)
    energy = block_energies(change, index, bank.ratios)
    assert energy.argmax() == 0
    assert (energy[conv_bank.HALO + 1 :] == 0).all()


def test_zf_and_mmse_give_the_same_picture(bank):
    blocks, grid, index = case(100, 100)
    latents = bank.encode(blocks, grid, index, 10)
    received = Fading(10, 0, 1)(latents, np.random.default_rng(0))
    zf, mmse = (bank.decode(equalise(received, m), 1.0, grid, index, 10) for m in ("zf", "mmse"))
    np.testing.assert_allclose(mmse, zf, atol=0.05)


def test_lost_uses_leave_the_picture_finite(bank):
    """Fades to nothing, whose noise is without bound."""
    blocks, grid, index = case(100, 100)
    latents = bank.encode(blocks, grid, index, 10)
    h = np.ones(len(latents), np.complex64)
    h[::2] = 0
    payload = Equalised(latents * h, np.abs(h) / 1.1, np.abs(h) * 0.1)
    assert np.isfinite(bank.decode(payload, 1.0, grid, index, 10)).all()


def test_a_use_lost_in_a_fade_leaves_the_others_as_they_are(bank, monkeypatch):
    """One use of a block at abs(h)**2 = 4e-4, as one of 2500 is under fast Rayleigh fading. Training
    clamps fades at 0.02, where the other uses are scaled by 1.07 at most."""
    blocks, grid = split(np.zeros((32, 32, 3), np.uint8))
    latents = bank.encode(blocks, grid, np.array([3]), 10)
    received = {}
    decode = bank.coder.decode

    def keep_received(latents, *arguments):
        received["latents"] = latents[0, 0, 0, -8:].numpy().reshape(-1).view(np.complex64)
        return decode(latents, *arguments)

    monkeypatch.setattr(bank.coder, "decode", keep_received)
    h = np.ones(64, np.complex64)
    h[7] = 0.02
    bank.decode(equalise(Received(h * latents, 0.1, h)), 1.0, grid, np.array([3]), 10)
    others = np.arange(64) != 7
    scale = np.abs(received["latents"][others]) / np.abs(latents[others])
    assert scale.max() < 1.5


@pytest.mark.filterwarnings("error")
def test_noise_of_nothing_is_no_special_case(bank):
    blocks, grid, index = case(64, 64)
    latents = bank.encode(blocks, grid, index, 60)
    assert np.isfinite(bank.decode(clean(latents, 0.0), 1.0, grid, index, 60)).all()


def test_the_sender_adapts_to_the_snr_it_believes(bank):
    blocks, grid, index = case(64, 64)
    low, high = (bank.encode(blocks, grid, np.maximum(index, 1), snr_db) for snr_db in (0, 20))
    assert not np.allclose(low, high)


def test_block_energies_are_the_sums_over_the_slices():
    ratios = ConvBank(ConvCoder(ConvArchitecture(USES, 4, 4, embedding=4))).ratios
    index = np.array([2, 0, 3, 1])
    latents = complex_normal(96, 1, np.random.default_rng(0))
    offsets = block_slices(index, ratios)
    assert offsets.tolist() == [0, 24, 24, 88, 96]
    expected = [np.sum(np.abs(latents[a:b]) ** 2) for a, b in pairwise(offsets)]
    np.testing.assert_allclose(block_energies(latents, index, ratios), expected, rtol=1e-5)


def test_size_and_cost(bank):
    assert bank.parameters == sum(p.numel() for p in bank.coder.parameters())
    stem = 3 * 16 * 9 * 8 / 16  # MACs per pixel of the first and of the last convolution
    assert bank.macs_per_pixel > 2 * stem
    assert bank.macs_per_pixel == pytest.approx(macs_by_hand(bank.coder), rel=0.2)  # heads are not in it


def macs_by_hand(coder):
    """Of the convolutions: kernel size times outputs, per pixel of the picture."""
    coarse = ("analysis_down", "analysis_coarse", "synthesis_coarse", "synthesis_up")
    return sum(
        module.weight.numel() / (64 if name.startswith(coarse) else 16)
        for name, module in coder.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    )
