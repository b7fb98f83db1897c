"""Attention in windows: what a cell sees, against a slow twin; in networks, in strips, in training."""

from __future__ import annotations

import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch
from processes import photograph, save

from jscc_sim.blocks import split
from jscc_sim.channels import Equalised
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.nn import conv_bank
from jscc_sim.nn.attention import HEAD, WINDOW, WindowAttention, edge_repeated
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.training.block_jscc import BlockJSCCTask, conv_coder
from jscc_sim.training.release import release_conv
from jscc_sim.zoo import load_zoo

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH = 2 * HEAD
PLAIN = ConvArchitecture(
    fine=8, coarse=HEAD, encoder_fine=1, encoder_coarse=2, decoder_coarse=2, decoder_fine=1
)
ATTENTIVE = replace(PLAIN, attention=2)
SIZES = [(4, 4), (12, 12), (4, 40), (20, 28), (24, 36)]


def stirred(module, scale=0.3):
    """With every weight random: attention adds nothing before training."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
    return module


def layer(shifted):
    torch.manual_seed(0)
    return stirred(WindowAttention(WIDTH, shifted)).requires_grad_(False)


def canvas(height, width, seed=0, channels=WIDTH):
    x = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last)


# --- a layer --------------------------------------------------------------------------------------


def slowly(attention, x):
    """The same, window by window, head by head and cell by cell."""
    _, width, height, length = x.shape
    unit = (x.square().mean(1, keepdim=True) + 1e-6).sqrt()
    inputs = torch.einsum("oc,bchw->bohw", attention.inputs.weight[:, :, 0, 0], x / unit)
    added = torch.zeros_like(x)
    for top in range(-attention.shift, height, WINDOW):
        for left in range(-attention.shift, length, WINDOW):
            places = [(top + i, left + j) for i in range(WINDOW) for j in range(WINDOW)]
            rows = torch.tensor([min(max(row, 0), height - 1) for row, _ in places])
            columns = torch.tensor([min(max(column, 0), length - 1) for _, column in places])
            cells = inputs[:, :, rows, columns]  # [B, 3C, cells]
            for head in range(width // HEAD):
                q, k, v = (cells[:, part + head * HEAD :][:, :HEAD] for part in (0, width, 2 * width))
                q, k = (part / (part.square().mean(1, keepdim=True) + 1e-7).sqrt() for part in (q, k))
                for number, (row, column) in enumerate(places):
                    if not (0 <= row < height and 0 <= column < length):
                        continue
                    apart = [
                        (row - r + WINDOW - 1) * (2 * WINDOW - 1) + column - c + WINDOW - 1 for r, c in places
                    ]
                    logits = (q[:, :, number, None] * k).sum(1) / HEAD**0.5 + attention.bias[head, apart]
                    seen = (logits.softmax(-1)[:, None] * v).sum(-1)
                    added[:, head * HEAD : (head + 1) * HEAD, row, column] = seen
    out = torch.einsum("oc,bchw->bohw", attention.out.weight[:, :, 0, 0], added)
    return x + out + attention.out.bias[:, None, None]


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize("size", [(4, 4), (12, 16)])
def test_against_a_slow_twin(shifted, size):
    attention, x = layer(shifted), canvas(*size)
    torch.testing.assert_close(attention(x), slowly(attention, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_added_before_training(shifted, size):
    x = canvas(*size)
    torch.testing.assert_close(WindowAttention(WIDTH, shifted)(x), x, rtol=0, atol=0)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
def test_a_cell_sees_its_window_and_no_other(shifted):
    """The cell that changes lies in the window of rows 12 to 23 and columns 0 to 11; of the shifted, in
    that of rows 6 to 17 and columns 6 to 17."""
    attention, x = layer(shifted), canvas(28, 36)
    other = x.clone()
    other[0, :, 13, 10] += 5
    changed = (attention(other) - attention(x)).abs().amax(1) > 0
    expected = torch.zeros(2, 28, 36, dtype=torch.bool)
    rows, columns = (slice(6, 18), slice(6, 18)) if shifted else (slice(12, 24), slice(0, 12))
    expected[0, rows, columns] = True
    torch.testing.assert_close(changed, expected)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize("size", SIZES)
def test_edges_are_repeated_to_whole_windows(shifted, size):
    """On a canvas that was made longer beforehand the same comes out."""
    attention, x = layer(shifted), canvas(*size)
    height, length = size
    after = [-(side + attention.shift) % WINDOW for side in size]
    longer = edge_repeated(edge_repeated(x, 2, 0, after[0]), 3, 0, after[1])
    torch.testing.assert_close(attention(longer)[:, :, :height, :length], attention(x), rtol=1e-5, atol=1e-5)


def test_edge_repeated_is_replicate_padding():
    x = canvas(5, 7)
    padded = torch.nn.functional.pad(x, (3, 4, 2, 1), mode="replicate")
    torch.testing.assert_close(edge_repeated(edge_repeated(x, 2, 2, 1), 3, 3, 4), padded, rtol=0, atol=0)
    assert edge_repeated(x, 2, 0, 0) is x


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
def test_pictures_of_a_batch_are_apart(shifted):
    attention, x = layer(shifted), canvas(16, 20)
    alone = torch.cat([attention(x[:1]), attention(x[1:])])
    torch.testing.assert_close(attention(x), alone, rtol=1e-5, atol=1e-5)


def test_every_weight_is_trained():
    attention = stirred(WindowAttention(WIDTH, True))
    attention(canvas(16, 16)).square().sum().backward()
    for name, weight in attention.named_parameters():
        assert weight.grad.abs().sum() > 0, name


def test_channels_that_make_no_heads():
    with pytest.raises(ValueError, match=f"attention over 48 channels: not a multiple of {HEAD}"):
        WindowAttention(48, False)


# --- the networks ---------------------------------------------------------------------------------


def attentive():
    torch.manual_seed(0)
    return ConvBank(stirred(ConvCoder(ATTENTIVE), 0.05))


def case(height, width):
    rng = np.random.default_rng(0)
    blocks, grid = split(rng.integers(0, 256, (height, width, 3), np.uint8))
    return blocks, grid, rng.integers(0, len(ATTENTIVE.uses), len(grid))


def clean(latents):
    return Equalised(latents, np.ones(len(latents)), np.full(len(latents), 0.1))


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 100), (300, 90)])
def test_pictures_of_any_size(size):
    bank = attentive()
    blocks, grid, index = case(*size)
    latents = bank.encode(blocks, grid, index, 10)
    assert latents.shape == (bank.ratios.spent(index),)
    decoded = bank.decode(clean(latents), 1.0, grid, index, 10)
    assert decoded.shape == blocks.shape
    assert np.isfinite(decoded).all()


def test_every_other_layer_is_shifted_at_both_ends():
    coder = ConvCoder(ATTENTIVE)
    for layers in (coder.analysis_attention, coder.synthesis_attention):
        assert [attention.shift for attention in layers] == [0, WINDOW // 2]
    assert not ConvCoder(PLAIN).analysis_attention


@pytest.mark.parametrize("strip_blocks", [6, 12, 30])
def test_strips_make_hardly_a_difference(monkeypatch, strip_blocks):
    """Strips begin and end with windows, and see two rows of windows more."""
    bank = attentive()
    blocks, grid, index = case(32 * 26, 32 * 2)
    assert len(conv_bank.strips(grid, bank.window_rows)) == 1
    latents = bank.encode(blocks, grid, index, 10)
    decoded = bank.decode(clean(latents), 1.0, grid, index, 10)
    monkeypatch.setattr(conv_bank, "STRIP_BLOCKS", strip_blocks)
    assert len(conv_bank.strips(grid, bank.window_rows)) > 1
    np.testing.assert_allclose(bank.encode(blocks, grid, index, 10), latents, atol=1e-4)
    stripped = bank.decode(clean(latents), 1.0, grid, index, 10)
    np.testing.assert_allclose(stripped / 255, decoded / 255, atol=1e-4)


def test_attention_reaches_beyond_the_convolutions():
    """By how many blocks a change is felt: a window, and half of the next."""
    blocks, grid, _ = case(32 * 9, 32)
    index = np.full(9, 2)
    other = blocks.copy()
    other[0] = 255 - other[0]
    reached = []
    for coder in (ConvCoder(PLAIN), ConvCoder(ATTENTIVE)):
        bank = ConvBank(stirred(coder, 0.05))
        change = bank.encode(blocks, grid, index, 10) - bank.encode(other, grid, index, 10)
        reached.append(np.flatnonzero(np.abs(change.reshape(9, -1)).max(1)).max())
    assert reached == [2, 4]


def test_cost():
    """As torch counts it: linear layers and both products of the attention. A canvas of 32x32 cells is made
    36x36, and 48x48 for shifted windows."""
    plain, costly = (ConvBank(ConvCoder(a)).macs_per_pixel for a in (PLAIN, ATTENTIVE))
    least = 4 * (4 * HEAD**2 + 2 * WINDOW**2 * HEAD) / 64
    assert least < costly - plain < (48 / 32) ** 2 * least


# --- training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zoos(tmp_path_factory):
    """Folders of zoos without attention and with one layer of it."""
    root = tmp_path_factory.mktemp("zoos")
    torch.manual_seed(0)
    for name, architecture in (("plain", PLAIN), ("one", replace(PLAIN, attention=1))):
        (root / name).mkdir()
        release_conv(stirred(ConvCoder(architecture), 0.05), root / name, {})
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for number in range(22):
        whole = photograph(300, 340, ("astronaut", "coffee")[number % 2])
        save(
            np.ascontiguousarray(whole[6 * number :][:160, 5 * number :][:, :192]), root / f"{number:02}.png"
        )
    return root


def sent_and_received(network):
    torch.manual_seed(0)
    image, index = torch.rand(1, 3, 64, 96), torch.randint(0, 12, (1, 2, 3))
    with torch.no_grad():
        latents = network.encode(image, index, torch.tensor([10.0]))
        return latents, network.decode(latents, index, torch.full((1, 2, 3, 2), 10.0))


@pytest.mark.parametrize("name", ["plain", "one"])
def test_new_attention_begins_with_the_function_of_the_zoo(zoos, name):
    start = load_zoo(str(zoos / name))
    begun = BlockJSCCTask(ATTENTIVE, start=start).network()
    for ours, theirs in zip(sent_and_received(begun), sent_and_received(conv_coder(start)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", [PLAIN, replace(ATTENTIVE, fine=16)], ids=["less", "another width"])
def test_a_start_that_does_not_fit(zoos, architecture):
    with pytest.raises(InputError, match=r"zoo .*one is of another network than the one to train"):
        BlockJSCCTask(architecture, start=load_zoo(str(zoos / "one"))).network()


def test_multiplies_are_counted_without_the_weights_of_the_start(zoos):
    """No warning that they are not copied, and a zoo that is loaded later on is whole."""
    start = load_zoo(str(zoos / "plain"))
    task = BlockJSCCTask(ATTENTIVE, start=start)
    assert task.macs_per_pixel() == pytest.approx(ConvBank(ConvCoder(ATTENTIVE)).macs_per_pixel)
    assert {weight.device.type for weight in conv_coder(start).parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--coarse 32 --attention 4", "--attention 4 is outside 0 to 3, the layers that the network has and"),
        ("--coarse 32 --depths 1 1 2 1 --attention 2", "--attention 2 is outside 0 to 1, the layers"),
        ("--coarse 32 --attention -1", "--attention -1 is outside 0 to 3, the layers"),
        ("--coarse 48 --attention 1", "--attention needs a multiple of 32 coarse channels, not 48"),
        ("--start {one} --attention 0", "--attention 0 is outside 1 to 2, the layers that the network has"),
        ("--start {one} --attention 3", "--attention 3 is outside 1 to 2, the layers"),
        ("--bank linear --attention 1", "--attention is of the bank conv alone, not of linear"),
        ("--system gmm --attention 1", "--attention is of block-jscc alone, not of gmm"),
    ],
)
def test_attention_that_cannot_be(zoos, folder, tmp_path, capsys, options, complaint):
    words = shlex.split(options.format(one=zoos / "one"))
    out = tmp_path / "out"
    assert main(["train", str(folder), "--out", str(out), *words, "--steps", "1", "--side", "64"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"jscc-sim: {complaint}")
    assert shown.count("\n") == 1
    assert not out.exists()


def test_from_the_command_line(zoos, folder, tmp_path, capsys):
    words = shlex.split(f"--start {zoos / 'plain'} --attention 2 --steps 2 --side 64 --crops 2 --fp32")
    assert main(["train", str(folder), "--out", str(tmp_path), *words]) == 0
    zoo = load_zoo(str(tmp_path))
    assert zoo.manifest["architecture"]["attention"] == 2
    assert len(zoo.bank.coder.analysis_attention) == 2
    assert zoo.manifest["macs_per_pixel"] > load_zoo(str(zoos / "plain")).manifest["macs_per_pixel"]
