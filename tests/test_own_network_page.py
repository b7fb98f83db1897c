"""The page on networks of one's own: what it shows works, with stand-ins for what others publish."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jscc_sim.channels import AWGN
from jscc_sim.systems.torch_link import RATE_BITS, TorchLink
from jscc_sim.testing import sample_picture

pytestmark = pytest.mark.usefixtures("one_thread")
PAGE = (Path(__file__).parents[1] / "docs" / "own_network.md").read_text()
MY_LINK, SWIN, TRAINING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PICTURE = sample_picture(90, 150)


class Network(nn.Module):
    """With an encoder and a decoder, as most are published."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 6, 4, 4), nn.ConvTranspose2d(6, 3, 4, 4)


def sent(link, picture=PICTURE):
    return link.transmit(picture, AWGN(10.0), 20_000, np.random.default_rng(0))


def defined(code, name, monkeypatch, **known):
    """What a piece of the page defines. Its dataclasses look for their module."""
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    vars(module).update(known)
    exec(code, vars(module))
    return vars(module)[name]


def test_my_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "my_network", types.SimpleNamespace(Network=Network))
    torch.save(Network().state_dict(), "my_weights.pth")
    link = defined(MY_LINK, "MyLink", monkeypatch)()
    found = sent(link)
    assert not found.outage
    assert found.uses - found.header_uses == 6 * 24 * 40 // 2
    assert len(MY_LINK.strip().splitlines()) <= 20  # fifteen, and empty ones


class TokenEncoder(nn.Module):
    """Takes what SwinJSCC's takes: tokens of one size at a time, an SNR and a rate that are numbers."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3 * 256, 96)

    def update_resolution(self, height, width):
        self.count = height // 16 * (width // 16)

    def forward(self, images, snr, rate, model):
        assert isinstance(snr, float)
        assert (rate, model) == (96, "SwinJSCC_w/_SA")
        tokens = self.head(F.pixel_unshuffle(images, 16).flatten(2).mT)
        assert tokens.shape[1:] == (self.count, 96)
        return tokens


class TokenDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(96, 3 * 256)

    def update_resolution(self, rows, columns):
        self.sides = rows, columns

    def forward(self, tokens, snr, model):
        assert isinstance(snr, float)
        return F.pixel_shuffle(self.head(tokens).mT.unflatten(2, self.sides), 16)


class Swin(nn.Module):
    def __init__(self, arguments, config):
        super().__init__()
        self.encoder, self.decoder = TokenEncoder(), TokenDecoder()


def test_swin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Swin(0, 0).state_dict(), "swinjscc_sa_96.model")
    head = MY_LINK[: MY_LINK.index("@dataclass")].replace("from my_network import Network", "")
    link = defined(head + SWIN, "SwinJSCC", monkeypatch, Net=Swin, ARGUMENTS=0, CONFIG=0)()
    found = sent(link)
    assert not found.outage
    assert (found.uses - found.header_uses) / (3 * 128 * 256) == 1 / 16


def test_training(monkeypatch):
    torch.manual_seed(0)
    network, images = Network(), torch.rand(4, 3, 32, 32)
    known = {
        "encoder": network.encoder,
        "decoder": network.decoder,
        "images": images,
        "generator": torch.Generator().manual_seed(0),
        "snr_db": torch.tensor([0.0, 5.0, 10.0, 20.0]),
        "mse_loss": F.mse_loss,
    }
    defined(TRAINING, "loss", monkeypatch, **known).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(("snr_db", "uses"), [(10.0, 274), (1.0, 1352)])
def test_the_header_that_the_page_names(snr_db, uses):
    link, kodak = TorchLink(lambda x: F.avg_pool2d(x, 4), lambda y: y), np.zeros((512, 768, 3), np.uint8)
    request = link.request(kodak, 512 * 768 * 3 // 16, AWGN(snr_db))
    assert request.header_uses(RATE_BITS) == uses
    assert f"{uses:,}".replace(",", " ") in PAGE
