"""The Gaussian-mixture codec: exact arithmetic, integer distributions, files that decode, and damage."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from naive import slow_mixture_frequencies
from processes import photograph, save
from torch.nn import functional as F

from jscc_sim.channels import AWGN
from jscc_sim.cli import main
from jscc_sim.codecs import find_codec
from jscc_sim.codecs.file import pack, unpack
from jscc_sim.coding import mixture
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.learned.gmm.exact import ExactConv
from jscc_sim.learned.gmm.gdn import GDN
from jscc_sim.learned.gmm.network import (
    MixtureArchitecture,
    MixtureCoder,
    between,
    first_pass,
    mixture_bits,
)
from jscc_sim.learned.gmm.task import MixtureTask, code
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.testing import SystemContract, sample_picture
from jscc_sim.training.data import Crops
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.release import release_model

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = MixtureArchitecture(fine=8, middle=16, latents=24, hyper=8, context=8, anchors=3)
PICTURE = sample_picture(90, 141)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network after a few steps, as it is released."""
    torch.manual_seed(3)
    task = MixtureTask(TINY)
    trainer = Trainer(task, Recipe(steps=60, warm_up=5, bf16=False, kernel_rate=1e-2, other_rate=3e-3))
    trainer.recipe = dataclasses.replace(trainer.recipe, crops=4)
    crops = Crops([photograph(300, 400, "coffee")], 64)
    for _ in range(60):
        trainer.advance(crops)
    folder = tmp_path_factory.mktemp("model")
    release_model(task, trainer.average, folder, {"data": "a test"})
    return str(folder)


@pytest.fixture(scope="module")
def codec(folder):
    return find_codec("gmm", folder)


# --- networks -------------------------------------------------------------------------------------


def test_gdn_divides_by_the_energy_of_all_channels():
    layer = GDN(3)
    with torch.no_grad():
        layer.gamma.copy_(torch.rand(3, 3))
        layer.beta.copy_(torch.rand(3))
    x = torch.randn(2, 3, 4, 5)
    energy = torch.einsum("ij,bjhw->bihw", layer.gamma**2, x**2) + layer.beta[:, None, None] ** 2 + 1e-2
    torch.testing.assert_close(layer(x), x / energy.sqrt())
    back = GDN(3, inverse=True)
    back.load_state_dict(layer.state_dict())
    torch.testing.assert_close(back(x), x * energy.sqrt())


def test_exact_convolutions_do_not_depend_on_the_order_of_summation():
    torch.manual_seed(0)
    layer = ExactConv(64, 16, 5).double()
    x = (torch.randn(1, 64, 9, 9, dtype=torch.float64) * 300).round() / 8
    straight = layer(x)
    order = torch.randperm(64)
    shuffled = ExactConv(64, 16, 5).double()
    shuffled.load_state_dict({"weight": layer.weight[:, order], "bias": layer.bias})
    assert torch.equal(shuffled(x[:, order]), straight)
    assert torch.equal(straight * 1024, (straight * 1024).round())
    torch.testing.assert_close(layer.float()(x.float()).double(), straight, rtol=0, atol=3)
    unfolded = torch.nn.functional.unfold(x, 5, padding=2)[0]
    weight = (layer.weight.double() * 4096).round().flatten(1) / 4096
    product = weight.flip(1) @ unfolded.flip(0)
    bias = (layer.bias.double() * 1024).round()[:, None] / 1024
    assert torch.equal(((product + bias) * 1024).round() / 1024, straight[0].flatten(1))


def test_second_places_see_the_first_and_nothing_else():
    coder = MixtureCoder(TINY).double()
    level = torch.tensor([0.3], dtype=torch.float64)
    features = torch.randn(1, 2 * TINY.context, 8, 8, dtype=torch.float64)
    known = torch.randn(1, TINY.latents, 8, 8, dtype=torch.float64).mul(5).round()
    first = first_pass(known)
    with torch.no_grad():
        blind, seeing = (coder.entropy.of_latents(features, k, level) for k in (known * 0, known * first))
    assert torch.equal(blind[..., first], seeing[..., first])
    assert not torch.equal(blind[..., ~first], seeing[..., ~first])


def test_levels_lie_between_the_anchors():
    table = torch.tensor([[0.0], [2.0], [10.0]])
    levels = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    assert between(table, levels)[:, 0].tolist() == [0, 1, 2, 6, 10]


def test_bits_are_those_of_the_mixture():
    parameters = torch.tensor([[0.3, -1.0, 0.2], [0.5, 2.0, -3.0], [0.1, 1.0, -0.5]]).reshape(
        1, 3, 3, 1, 1, 1
    )
    values = torch.arange(-400.0, 401.0)
    each = mixture_bits(values.reshape(1, 1, 1, -1), parameters.expand(-1, -1, -1, -1, -1, len(values)))
    chance = (2.0**-each).flatten()
    assert chance.sum().item() == pytest.approx(1, abs=1e-4)
    mean = (torch.tensor([0.3, -1.0, 0.2]).softmax(0) * torch.tensor([0.5, 2.0, -3.0])).sum()
    assert (chance * values).sum().item() == pytest.approx(mean.item(), abs=1e-2)


# --- integers under mixtures ----------------------------------------------------------------------


def random_parameters(count, rng, components=3):
    parameters = np.stack(
        [
            rng.normal(0, 2, (components, count)),
            rng.normal(0, 30, (components, count)),
            rng.uniform(-3, 6.5, (components, count)),
        ]
    )
    return np.rint(parameters * 1024) / 1024


def test_the_kernel_agrees_with_its_slow_twin():
    mixtures = mixture.Mixtures(random_parameters(40, np.random.default_rng(1)))
    for half in (4, 32):
        places = np.arange(40)
        found = mixtures.frequencies(half, places)
        expected = slow_mixture_frequencies(
            mixtures.shares, mixtures.means, mixtures.inverses, mixtures.centres, half, mixture._NORMAL
        )
        assert np.array_equal(found, expected)


def test_integer_distributions_are_the_mixtures():
    """Against the normal distribution in floating point."""
    parameters = random_parameters(200, np.random.default_rng(2))
    mixtures = mixture.Mixtures(parameters)
    half = 512
    found = mixtures.frequencies(half, np.arange(200)) / 2**30
    values = torch.from_numpy(mixtures.centres + np.arange(-half, half + 1)[:, None]).double()
    bits = mixture_bits(values.reshape(1, 1, -1, 200), torch.from_numpy(parameters)[None, :, :, None, None])
    chance = 2.0 ** -bits[0, 0].numpy().T
    assert abs(found[:, 1:-1] - chance).sum(axis=1).max() < 0.07  # scales are steps of a sixteenth apart
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("spread", [0.3, 3, 40, 400])
def test_integers_come_back(spread):
    import constriction

    rng = np.random.default_rng(5)
    mixtures = mixture.Mixtures(random_parameters(3000, rng))
    values = np.clip(np.rint(rng.normal(0, spread, 3000)).astype(np.int64), -2047, 2047)
    values[:2] = 2047, -2047
    encoder = constriction.stream.queue.RangeEncoder()
    mixture.encode(encoder, values, mixtures)
    decoder = constriction.stream.queue.RangeDecoder(encoder.get_compressed())
    assert np.array_equal(mixture.decode(decoder, mixtures), values)


def test_a_wide_mixture_is_coded_in_its_own_bits():
    import constriction

    rng = np.random.default_rng(6)
    parameters = np.zeros((3, 3, 20000))
    parameters[2] = math.log(5)
    mixtures = mixture.Mixtures(np.rint(parameters * 1024) / 1024)
    values = np.rint(rng.normal(0, 5, 20000)).astype(np.int64)
    encoder = constriction.stream.queue.RangeEncoder()
    mixture.encode(encoder, values, mixtures)
    entropy = math.log2(5 * math.sqrt(2 * math.pi * math.e))
    assert 32 * len(encoder.get_compressed()) / 20000 == pytest.approx(entropy, rel=0.01)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(90, 141), (1, 1), (64, 64), (300, 20)])
def test_files_decode_to_what_the_encoder_saw(codec, size):
    picture = sample_picture(*size)
    for level in (0, 30, 63):
        data = codec.encode(picture, level)
        got = codec.decompress(data)
        assert got.shape == picture.shape
        padded = np.pad(picture, ((0, -size[0] % 64), (0, -size[1] % 64), (0, 0)), mode="edge")
        image = torch.from_numpy(padded).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            bits, decoded = code(codec.coder, image, torch.tensor([level / 63], dtype=torch.float64))
        seen = decoded[0, :, : size[0], : size[1]].mul(255).round().clamp(0, 255).byte().permute(1, 2, 0)
        assert np.array_equal(got, seen.numpy())
        estimated = bits.item() * padded.shape[0] * padded.shape[1]
        assert 8 * len(data) == pytest.approx(estimated, rel=0.02, abs=8 * 16)


def test_strips_of_latents_are_the_same_as_all_at_once(codec, monkeypatch):
    from jscc_sim.learned.gmm import codec as gmm

    picture = sample_picture(420, 70)
    before = codec.encode(picture, 20)
    for rows in (2, 4, 1000):
        monkeypatch.setattr(gmm, "STRIP", rows)
        assert codec.encode(picture, 20) == before
        assert np.array_equal(codec.decode(before), codec.decompress(before))


def test_the_network_learns(codec):
    picture = photograph(128, 128, "coffee")
    mse = F.mse_loss(
        torch.from_numpy(codec.decode(codec.encode(picture, 63))).float(), torch.from_numpy(picture).float()
    )
    assert mse < 0.7 * picture.var()


def test_damaged_files_never_crash(codec):
    """Whatever a file holds, there is a picture of the claimed size or an error."""
    rng = np.random.default_rng(7)
    data = bytearray(codec.encode(sample_picture(64, 64), 40))
    for number in range(150):
        broken = bytearray(data[: rng.integers(1, len(data))] if number % 3 == 0 else data)
        first = 0 if number % 5 == 0 else 9  # the size in the head may cost much memory, rightly
        for _ in range(rng.integers(1, 4)):
            if len(broken) > first:
                broken[rng.integers(first, len(broken))] ^= 1 << rng.integers(8)
        if int.from_bytes(broken[3:6], "big") * int.from_bytes(broken[6:9], "big") > 1 << 20:
            continue
        try:
            found = codec.decompress(bytes(broken)).shape
        except InputError:
            continue
        assert found == (*codec.size(bytes(broken)), 3)


def test_other_weights_are_refused(codec):
    data = bytearray(codec.encode(PICTURE, 0))
    data[0] ^= 1
    with pytest.raises(InputError, match="not a gmm file: made with weights"):
        codec.decompress(bytes(data))


@pytest.mark.parametrize("name", ["gmm", "quantised", "digits"])
@pytest.mark.parametrize(
    ("height", "width", "words"),
    [
        (50_000, 50_000, "limit is 33554432 pixels"),
        (16_777_215, 2, "limit is 33554432 pixels"),
        (2, 16_777_215, "limit is 33554432 pixels"),
        (5700, 5700, "bytes cannot hold"),
    ],
)
def test_a_few_bytes_that_claim_a_large_picture(name, height, width, words):
    """Limits hold for what is computed, whole tiles, and for what so many bytes can say."""
    codec = find_codec(name)
    head = codec.encode(PICTURE[:8, :8], 0)[:3]
    with pytest.raises(InputError, match=words):
        codec.decompress(head + height.to_bytes(3, "big") + width.to_bytes(3, "big") + bytes(8))


@pytest.mark.parametrize("name", ["gmm", "quantised", "digits"])
def test_the_least_bytes_of_a_picture_are_believed(name):
    """Nothing is coded in fewer bytes than a grey wall, and a limit is far from those."""
    codec, wall = find_codec(name), np.full((512, 512, 3), 128, np.uint8)
    data = codec.encode(wall, 0)
    assert codec.decompress(data).shape == wall.shape
    assert wall.size / 3 < codec.densest * len(data) / 8


# --- compress and decompress ----------------------------------------------------------------------


def test_two_programs(folder, codec, tmp_path, capsys):
    image = save(PICTURE, tmp_path / "image.png")
    sizes = []
    for quality in ("1", "4.5", "8"):
        out, back = tmp_path / "image.jsc", tmp_path / "back.png"
        assert main(["compress", str(image), "--zoo", folder, "--quality", quality, "-o", str(out)]) == 0
        assert main(["decompress", str(out), "--zoo", folder, "-o", str(back)]) == 0
        assert np.array_equal(read_picture(back), unpack(out.read_bytes(), folder)[1])
        sizes.append(out.stat().st_size)
    assert sizes == sorted(sizes)
    assert "bits per pixel" in capsys.readouterr().out


def test_any_codec_makes_files():
    for name in ("jpeg", "webp"):
        codec = find_codec(name)
        found, picture = unpack(pack(codec, PICTURE, 5))
        assert found == codec
        assert picture.shape == PICTURE.shape


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:-1], "damaged: its"),
        (lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:], "checksum"),
        (lambda b: b"", "not a file of jscc-sim compress"),
        (lambda b: b"PK" + b, "not a file of jscc-sim compress"),
        (lambda b: b[:3] + b"\xff" + b[4:], "of codec 255"),
    ],
    ids=["cut", "altered", "empty", "other", "codec"],
)
def test_damaged_files_at_the_command_line(damage, message, tmp_path, capsys):
    path = tmp_path / "image.jsc"
    path.write_bytes(damage(pack(find_codec("jpeg"), PICTURE, 5)))
    assert main(["decompress", str(path), "-o", str(tmp_path / "back.png")]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "image.jsc" in shown
    assert not (tmp_path / "back.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quality", "9"], "quality 9 is outside 1 to 8"),
        (["--quality", "nan"], "quality nan is outside"),
        (["--codec", "gif"], "codec 'gif' is not one of"),
        (["--codec", "jpeg", "--zoo", "x"], "codec jpeg has no weights"),
        (["--zoo", "absent"], "absent"),
    ],
)
def test_compress_refuses(options, message, tmp_path, capsys):
    image = save(PICTURE, tmp_path / "image.png")
    assert main(["compress", str(image), *options, "-o", str(tmp_path / "image.jsc")]) == 2
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["image.png"]


class TestOverTheChannel(SystemContract):
    cbrs = (1 / 2, 1 / 2)
    channels = (AWGN(12.0), AWGN(18.0))

    @pytest.fixture(autouse=True)
    def _of_small_weights(self, folder):
        type(self).system = load_baseline("gmm+ldpc", zoo=folder)


def test_retrained_weights_are_another_system(folder, tmp_path):
    other = release_model(MixtureTask(TINY), MixtureCoder(TINY), tmp_path, {})
    first, second = load_baseline("gmm+ideal", zoo=folder), load_baseline("gmm+ideal", zoo=str(other.folder))
    assert first.version() != second.version()
