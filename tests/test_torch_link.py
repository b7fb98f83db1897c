"""Somebody's own networks as a system."""

import functools
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from processes import photograph
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from jscc_sim.channels import AWGN, Fading, equalise, parse_channel
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError
from jscc_sim.header import encode_header
from jscc_sim.nn.channel import send
from jscc_sim.nn.held_modules import modules_of
from jscc_sim.nn.loading import load_weights, read_weights
from jscc_sim.plugins import load_plugin
from jscc_sim.systems.base import System
from jscc_sim.systems.torch_link import TorchLink
from jscc_sim.testing import SystemContract, sample_picture

pytestmark = pytest.mark.usefixtures("one_thread")
PICTURE = sample_picture(47, 81)
CLEAR = AWGN(60.0)


def halved(images):
    """The mean of every four pixels, around 0: what a decoder makes of it is known."""
    return F.avg_pool2d(images, 2) - 0.5


def doubled(latents):
    return F.interpolate(latents + 0.5, scale_factor=2)


LINK = TorchLink(halved, doubled)


def expected(picture, multiple=16):
    """What LINK makes of a picture over a clear channel."""
    height, width = picture.shape[:2]
    below, right = -height % multiple, -width % multiple
    padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge").astype(np.float64)
    rows, columns = (side // 2 for side in padded.shape[:2])
    means = padded.reshape(rows, 2, columns, 2, 3).mean((1, 3))
    return np.repeat(np.repeat(means, 2, 0), 2, 1)[:height, :width]


def sent(link, picture=PICTURE, channel=CLEAR, budget=10_000, seed=0, **more):
    return link.transmit(picture, channel, budget, np.random.default_rng(seed), **more)


def near(picture, means, by=1.5):
    """Within what 8 bits and noise 60 dB below the signal leave."""
    assert np.abs(picture - means).max() <= by


class Ends(nn.Module):
    """An encoder and a decoder in one module, as most have them."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.down, self.up = nn.Conv2d(3, 4, 4, 4), nn.ConvTranspose2d(4, 3, 4, 4)

    def encode(self, images):
        return self.down(images)

    def decode(self, latents):
        return self.up(latents)


class TestContract(SystemContract):
    system = LINK
    cbrs = (1 / 4, 1 / 4)


class TestContractOfTiles(SystemContract):
    system = TorchLink(halved, doubled, tile=32)
    cbrs = (1 / 4, 1 / 3)


# --- pictures, latents, power ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (47, 81), (1, 1), (130, 17)])
@pytest.mark.parametrize("tile", [0, 4, 32])
def test_pictures_of_any_size(size, tile):
    picture = sample_picture(*size)
    link = TorchLink(halved, doubled, tile=tile)
    found = sent(link, picture)
    multiple = tile or 16
    assert found.picture.shape == picture.shape
    near(found.picture, expected(picture, multiple))
    height, width = (side + -side % multiple for side in size)
    assert found.uses - found.header_uses == 3 * (height // 2) * (width // 2) // 2


SHAPES = {
    "planes": (lambda x: x, lambda y: y),
    "planes last": (lambda x: x.permute(0, 2, 3, 1), lambda y: y.permute(0, 3, 1, 2)),
    "complex planes": (
        lambda x: torch.complex(x[..., ::2], x[..., 1::2]),
        lambda y: torch.stack([y.real, y.imag], -1).flatten(-2),
    ),
    "double precision": (lambda x: x.double(), lambda y: y),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tile", [0, 16])
def test_latents_of_any_shape(shape, tile):
    to, back = SHAPES[shape]
    link = TorchLink(lambda x: to(halved(x)), lambda y: doubled(back(y)), tile=tile)
    near(sent(link).picture, expected(PICTURE))


FLAT = {
    "pairs": lambda x: x.reshape(len(x), -1, 2),
    "tokens": lambda x: x.flatten(2).mT,
    "complex": lambda x: torch.view_as_complex(x.reshape(len(x), -1, 2)),
}


@pytest.mark.parametrize("shape", FLAT)
def test_latents_without_a_grid(shape):
    """A decoder that knows its images' size, as that of tiles does; and one that is told by nothing."""
    to = FLAT[shape]

    def decoder(latents):
        reals = torch.view_as_real(latents) if latents.is_complex() else latents
        reals = reals.mT if shape == "tokens" else reals
        return doubled(reals.reshape(len(latents), 3, 8, 8))

    near(sent(TorchLink(lambda x: to(halved(x)), decoder, tile=16)).picture, expected(PICTURE))
    whole = TorchLink(lambda x: to(halved(x)), lambda y: doubled(torch.zeros(1, 3, 24, 48)))
    found = sent(whole)
    assert found.uses - found.header_uses == 3 * 24 * 48 // 2


@pytest.mark.parametrize("scale", [1e-2, 1.0, 40.0])
def test_power_is_one_whatever_the_encoder_gives(scale):
    link = TorchLink(lambda x: scale * halved(x), lambda y: doubled(y / scale))
    frame = link.encode(PICTURE, 10_000, CLEAR)
    payload = frame.symbols[frame.header_uses :]
    assert np.mean(np.abs(payload) ** 2) == pytest.approx(1, abs=1e-5)
    near(sent(link).picture, expected(PICTURE))


def test_tiles_share_one_power_pool():
    """A flat tile and a busy one keep their powers' ratio."""
    picture = np.full((16, 32, 3), 120, np.uint8)
    picture[:, 16:] = 255
    frame = TorchLink(halved, doubled, tile=16).encode(picture, 10_000, CLEAR)
    powers = np.sort(np.abs(frame.symbols[frame.header_uses :]) ** 2)
    assert powers[-1] / powers[0] == pytest.approx((0.5 / (0.5 - 120 / 255)) ** 2, rel=1e-3)


def test_silence():
    found = sent(TorchLink(lambda x: 0 * halved(x), doubled))
    near(found.picture, np.full(PICTURE.shape, 127.5), 2)


# --- budget and rates -----------------------------------------------------------------------------


def test_a_budget_is_held_to_the_use():
    need = sent(LINK).uses
    assert sent(LINK, budget=need).uses <= need
    header, payload = sent(LINK, budget=need).header_uses, 3 * 24 * 48 // 2
    least = header + payload
    with pytest.raises(
        BudgetError, match=f"budget of {least - 1} uses is below the {least} uses .*47x81 pixels"
    ):
        sent(LINK, budget=least - 1)
    with pytest.raises(BudgetError, match=f"{header} of them for the header"):
        LINK.check_fits(PICTURE, least - 1, CLEAR)
    LINK.check_fits(PICTURE, least, CLEAR)


def rated(count):
    """An encoder and a decoder of so many means a colour and 16x16 pixels."""
    side = 16 // count
    return (
        lambda x: F.avg_pool2d(x, side) - 0.5,
        lambda y: F.interpolate(y + 0.5, scale_factor=side),
    )


def test_the_largest_rate_that_fits_is_taken():
    encoders, decoders = zip(*map(rated, (2, 8, 4)), strict=True)
    link = TorchLink(encoders, decoders)
    blocks = 3 * 6
    for budget, count in ((3000, 8), (1900, 8), (1700, 4), (400, 2)):
        found = sent(link, budget=budget)
        assert found.uses - found.header_uses == blocks * 3 * count**2 // 2
        assert found.coder == f"rate {(2, 8, 4).index(count)}"
    assert sent(LINK).coder == ""
    with pytest.raises(BudgetError, match="budget of 120 uses is below"):
        sent(link, budget=120)


def test_as_many_encoders_as_decoders():
    with pytest.raises(InputError, match="TorchLink has 2 encoders and 1 decoders, not 1 to 32 and as many"):
        TorchLink([halved, halved], doubled).prepare()
    with pytest.raises(InputError, match="TorchLink has no decoder"):
        TorchLink(halved).prepare()


# --- what the two are given -----------------------------------------------------------------------


class Listening:
    """Ends that note what they are given."""

    def __init__(self, shape="planes", scale=1.0):
        self.given = {}
        self.scale, (self.to, self.back) = scale, SHAPES[shape]

    def encode(self, images, snr_db):
        self.given["encoder"] = snr_db
        return self.to(self.scale * halved(images))

    def decode(self, latents, snr_db, variance):
        self.given["decoder"] = latents, snr_db, variance
        return doubled(self.back(latents) / self.scale)


@pytest.mark.parametrize("tile", [0, 16])
def test_the_sender_believes_and_the_receiver_measures(tile):
    ends = Listening()
    sent(TorchLink(ends.encode, ends.decode, tile=tile), channel=AWGN(7.0), belief=AWGN(12.1))
    batch = 1 if tile == 0 else 2
    assert ends.given["encoder"].tolist() == [12.0] * batch  # as the header has it
    latents, snr_db, variance = ends.given["decoder"]
    assert snr_db.tolist() == [pytest.approx(7, abs=1e-4)] * batch
    assert variance.shape == latents.shape


@pytest.mark.parametrize("shape", ["planes", "complex planes"])
@pytest.mark.parametrize(
    ("equaliser", "unbiased", "biased"), [("zf", False, False), ("mmse", True, False), ("mmse", False, True)]
)
def test_what_arrives_is_latents_and_noise_of_the_variance_given(shape, equaliser, unbiased, biased):
    """Under fading, in the mean over the uses."""
    ends, picture = Listening(shape, 0.2), photograph(192, 256)
    link = TorchLink(ends.encode, ends.decode, unbiased=unbiased, equaliser=equaliser)
    sent(link, picture, parse_channel("rician-fast:8", 9.0), 10**6)
    latents, snr_db, variance = ends.given["decoder"]
    original = ends.encode(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, snr_db)
    white = ((latents - original).abs() ** 2 / variance).mean().item()
    assert (white == pytest.approx(1, abs=0.03)) is not biased
    assert snr_db.item() == pytest.approx(9, abs=0.1)


def test_a_slow_fade_is_measured():
    ends, channel = Listening(), Fading(20.0)
    link = TorchLink(ends.encode, ends.decode)
    frame = link.encode(PICTURE, 10_000, channel)
    received = channel(frame.symbols, np.random.default_rng(3))
    link.decode(received)
    faded = equalise(received, "zf").noise_variance[0]
    assert ends.given["decoder"][1].item() == pytest.approx(-10 * np.log10(faded), abs=1e-3)


@pytest.mark.parametrize("channel", [AWGN(7.0), Fading(7.0, 1e5, 1, 20.0)], ids=str)
@pytest.mark.parametrize("shape", ["planes", "complex planes"])
def test_networks_are_trained_on_what_they_meet(channel, shape):
    """`nn.channel.send` and the link tell a decoder of the same noise, on the same scale."""
    ends, picture = Listening(shape, 0.2), photograph(96, 128)
    sent(TorchLink(ends.encode, ends.decode), picture, channel)
    latents, _, variance = ends.given["decoder"]
    original = ends.encode(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, None)
    trained = send(original, channel, torch.Generator().manual_seed(0))
    assert trained.variance.mean().item() == pytest.approx(variance.mean().item(), rel=0.02)
    errors = [(arrived - original).abs().square().mean().item() for arrived in (trained.latents, latents)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_ends_without_an_snr_are_not_given_one():
    """Arguments with a default are the networks' own."""

    def encoder(images, return_maps=False):
        assert return_maps is False
        return halved(images)

    near(sent(TorchLink(encoder, doubled)).picture, expected(PICTURE))
    near(sent(TorchLink(functools.partial(encoder, return_maps=False), doubled)).picture, expected(PICTURE))


def test_networks_run_as_for_inference_and_are_left_as_they_were():
    network = nn.Sequential(nn.Dropout(0.5), nn.AvgPool2d(2))
    assert network.training
    link = TorchLink(network, lambda y: F.interpolate(y, scale_factor=2))
    near(sent(link).picture, expected(PICTURE))
    assert network.training
    assert network[0].training
    assert torch.is_grad_enabled()


# --- what does not keep to it ---------------------------------------------------------------------


def raising(images):
    raise KeyError("of my own")


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda x: x.numpy(), "encoder gave a ndarray, not a tensor"),
        (lambda x: (x, x), "encoder gave a tuple, not a tensor"),
        (lambda x: halved(x)[:, :1, :1, :1], r"encoder gave \[1, 1, 1, 1\] .* even number of real ones"),
        (lambda x: halved(x)[0], r"encoder gave \[3, 32, 32\] for images \[1, 3, 64, 64\]"),
        (lambda x: halved(x)[:, :0], "not complex latents or an even number"),
        (lambda x: halved(x) / 0, "encoder gave values that are not finite"),
        (lambda x: F.pad(halved(x), (1, 1)), r"encoder gave \[1, 3, 24, 50\] .* promised .* name a tile"),
        (
            lambda x: halved(x) if x.shape[2] == x.shape[3] else halved(x)[..., None],
            "no fixed number of sides",
        ),
        (raising, "TorchLink: encoder raised KeyError: 'of my own'"),
        (lambda x, a, b: x, r"encoder has 3 arguments without a default \(x, a, b\), not 1 to 2 for images"),
        (lambda: 1, "encoder has 0 arguments"),
        (3, "encoder is no function"),
    ],
)
def test_an_encoder_that_does_not_keep_to_it(encoder, message):
    with pytest.raises(InputError, match=message):
        sent(TorchLink(encoder, doubled))


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (lambda y: y, r"decoder gave \[1, 3, 24, 48\], not \[1, 3, 48, 96\]; .* multiples of 16"),
        (lambda y: doubled(y) / 0, "decoder gave values that are not finite"),
        (lambda y: None, "decoder gave a NoneType, not a tensor"),
        (raising, "TorchLink: decoder raised KeyError: 'of my own'"),
    ],
)
def test_a_decoder_that_does_not_keep_to_it(decoder, message):
    with pytest.raises(InputError, match=message):
        sent(TorchLink(halved, decoder))


@pytest.mark.parametrize(("field", "value"), [("tile", -1), ("multiple", 0)])
def test_sizes_that_are_none(field, value):
    with pytest.raises(InputError, match=f"{value} pixels.*below"):
        TorchLink(halved, doubled, **{field: value}).prepare()


@pytest.mark.parametrize(("field", "value"), [("tile", "32"), ("multiple", 16.0), ("unbiased", "no")])
def test_fields_of_another_type(field, value):
    with pytest.raises(InputError, match=f"TorchLink: {field} = '?{value}'? is no"):
        TorchLink(halved, doubled, **{field: value})


def test_a_frame_of_other_weights_is_refused():
    first, second = (TorchLink(ends.encode, ends.decode) for ends in (Ends(0), Ends(1)))
    frame = first.encode(PICTURE, 10_000, CLEAR)
    received = CLEAR(frame.symbols, np.random.default_rng(0))
    assert first.decode(received).picture.shape == PICTURE.shape
    with pytest.raises(
        ImpossibleFrameError, match=rf"\({first.system_id:04x}\), not of TorchLink \({second.system_id:04x}\)"
    ):
        second.decode(received)


def test_a_forged_size_costs_nothing():
    """The network is asked for nothing: the uses of such a picture did not arrive."""
    ends = Listening()
    link = TorchLink(ends.encode, ends.decode)
    frame = link.encode(PICTURE, 10_000, CLEAR)
    forged = encode_header(
        replace(frame.header, height=9000, width=9000), link.request(PICTURE, 10_000, CLEAR).protection
    )
    symbols = np.concatenate([forged, frame.symbols[frame.header_uses :]])
    ends.given.clear()
    with pytest.raises(ImpossibleFrameError, match=r"payload of .* uses, .* arrived"):
        link.decode(CLEAR(symbols, np.random.default_rng(0)))
    assert not ends.given


# --- keys -----------------------------------------------------------------------------------------

NETWORK = Ends(0)


def ways_to_hold(ends):
    def inner(images):
        return ends.down(images)

    yield ends
    yield ends.encode
    yield lambda images: 2 * ends.encode(images)
    yield functools.partial(Ends.encode, ends)
    yield inner
    yield functools.partial(lambda network, images: network["a"][0].down(images), {"a": [ends]})


@pytest.mark.parametrize("way", range(6))
def test_the_key_knows_weights_however_they_are_held(way):
    first, again, other = (list(ways_to_hold(Ends(seed)))[way] for seed in (0, 0, 1))
    keys = [TorchLink(encoder, doubled).version() for encoder in (first, again, other)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("way", range(6))
def test_modules_are_found_however_they_are_held(way):
    ends = Ends()
    found = modules_of(list(ways_to_hold(ends))[way])
    assert [module for module in found if module is ends] == [ends]


def test_modules_of_the_file_around():
    assert modules_of(lambda x: 2 * NETWORK.encode(x)) == [NETWORK]
    assert modules_of(halved, doubled) == []


def version(encoder):
    return TorchLink(encoder, doubled).version()


def test_the_key_knows_buffers_layers_constants_and_code():
    plus = [functools.partial(np.add, np.arange(3.0) + offset) for offset in (0, 1)]
    assert version(plus[0]) != version(plus[1])
    assert version(nn.Sequential(nn.ReLU())) != version(nn.Sequential(nn.GELU()))
    assert version(lambda x: 2 * x) == version(lambda x: 2 * x) != version(lambda x: 3 * x)
    mean = nn.BatchNorm2d(3)
    before = version(mean)
    mean.running_mean += 1
    assert version(mean) != before


def test_the_key_is_the_same_in_another_process():
    code = (
        "from torch.nn.functional import avg_pool2d, interpolate; from jscc_sim.systems.torch_link import "
        "TorchLink; print(TorchLink(lambda x: avg_pool2d(x, 2), lambda y: interpolate(y, scale_factor=2))"
        ".version())"
    )
    run = [sys.executable, "-c", code]
    said = {subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(said) == 1


class Remembering(Ends):
    """Its buffers are those of the last picture, as Swin transformers keep their attention masks."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.zeros(1, 1))

    def encode(self, images):
        self.mask = torch.ones(images.shape[2:])
        return super().encode(images)


def test_the_key_does_not_change_as_networks_run():
    ends = Remembering()
    link = TorchLink(ends.encode, ends.decode)
    frame = link.encode(PICTURE, 10_000, CLEAR)
    fresh = Remembering()
    received = CLEAR(frame.symbols, np.random.default_rng(0))
    assert TorchLink(fresh.encode, fresh.decode).decode(received).picture.shape == PICTURE.shape


class Scaled(nn.Module):
    """What it computes with is neither a weight nor a module in it."""

    def __init__(self, scale=1.0, function=torch.relu, layers=()):
        super().__init__()
        self.scale, self.function, self.layers = scale, function, list(layers)

    def forward(self, images):
        return self.function(halved(images) * self.scale)


def test_the_key_knows_what_a_module_has_set():
    torch.manual_seed(0)
    networks = [
        Scaled(),
        Scaled(2.0),
        Scaled(function=lambda latents: latents),
        Scaled(function=lambda latents: -latents),
        Scaled(layers=[nn.Linear(2, 2)]),
        Scaled(layers=[nn.Linear(2, 2)]),
    ]
    assert len({version(network) for network in networks}) == len(networks)
    assert version(Scaled()) == version(Scaled())


# --- checkpoints ----------------------------------------------------------------------------------


def same(network, other):
    """Whether two have the same weights."""
    return all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("nested", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_torch(tmp_path, nested, prefix):
    weights = {prefix + name: values for name, values in Ends(3).state_dict().items()}
    torch.save({nested: weights, "epoch": 7} if nested else weights, tmp_path / "mine.pth")
    loaded = load_weights(Ends(0), tmp_path / "mine.pth")
    assert same(loaded, Ends(3))
    assert not loaded.training


def test_safetensors(tmp_path):
    save_file(Ends(3).state_dict(), tmp_path / "mine.safetensors")
    assert same(load_weights(Ends(0), tmp_path / "mine.safetensors"), Ends(3))
    assert read_weights(str(tmp_path / "mine.safetensors")).keys() == Ends().state_dict().keys()


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_but_tensors_is_unpickled(tmp_path):
    torch.save({"a": torch.zeros(1), "b": Harmful(tmp_path / "done")}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"weights .*bad.pth are no state dict that torch saved: "):
        read_weights(tmp_path / "bad.pth")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("name", ["bad.pth", "bad.safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", bytes(range(256)) * 9])
def test_files_that_are_no_checkpoints(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"weights .*{name} are no "):
        read_weights(tmp_path / name)


def test_checkpoints_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"weights .*none.pth cannot be read: No such file"):
        load_weights(Ends(), tmp_path / "none.pth")
    torch.save({"x": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other.pth are not those of Ends: .*Missing key"):
        load_weights(Ends(), tmp_path / "other.pth")
    torch.save({"x": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.pth")
    with pytest.raises(InputError, match=r"nan.pth hold values in x that are not finite"):
        read_weights(tmp_path / "nan.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list.pth hold something else than tensors by their names"):
        read_weights(tmp_path / "list.pth")


# --- subclasses -----------------------------------------------------------------------------------

MINE = '''
from dataclasses import dataclass, replace
from torch.nn import functional as F
from jscc_sim.systems.torch_link import TorchLink

@dataclass(frozen=True)
class MyLink(TorchLink):
    """Means of 8x8 pixels."""
    multiple: int = 8
    side: int = 8

    def networks(self):
        encoder = lambda images: F.avg_pool2d(images, self.side) - 0.5
        return encoder, lambda latents: F.interpolate(latents + 0.5, scale_factor=self.side)
'''


def test_a_file_is_a_system(tmp_path):
    (tmp_path / "my_link.py").write_text(MINE)
    link = load_plugin(f"{tmp_path / 'my_link.py'}:MyLink", {}, System)
    found = sent(link)
    assert found.uses - found.header_uses == 3 * 6 * 11 // 2
    finer = load_plugin(f"{tmp_path / 'my_link.py'}:MyLink:side=4,multiple=4", {}, System)
    assert sent(finer).uses - sent(finer).header_uses == 3 * 12 * 21 // 2


class Undecorated(TorchLink):
    multiple: int = 8


@dataclass(frozen=True)
class Unannotated(TorchLink):
    multiple = 8


class Method(TorchLink):
    def encoder(self, images):
        return halved(images)


@pytest.mark.parametrize(
    ("cls", "field"), [(Undecorated, "multiple"), (Unannotated, "multiple"), (Method, "encoder")]
)
def test_a_field_that_would_be_ignored(cls, field):
    with pytest.raises(InputError, match=f"{cls.__name__}.{field} takes no effect: write {field}: "):
        cls()


def test_the_class_is_there_without_torch():
    code = "import sys, jscc_sim.systems.torch_link; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
