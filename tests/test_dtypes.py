"""Pictures do not depend on what a program around them has told torch to be the default."""

import numpy as np
import pytest
from processes import photograph

from jscc_sim.channels import AWGN
from jscc_sim.codecs import LEARNED
from jscc_sim.coding import ldpc
from jscc_sim.systems.digital import Digital
from jscc_sim.systems.spec import SystemSpec

PICTURE = photograph(64, 96)
SYSTEMS = (
    ("block-jscc", "linear"),
    ("block-jscc", "conv-small"),
    ("vae:2", ""),
    ("digits", ""),
    ("generative", ""),
    ("quantised+uep", ""),
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def double():
    """Switches torch's default to double precision, and back at the end."""
    import torch

    before = torch.get_default_dtype()

    def switch():
        torch.set_default_dtype(torch.float64)

    yield switch
    torch.set_default_dtype(before)


def sent(system, snr_db=10.0):
    """At an SNR at which the sender expects 10 dB."""
    rng = np.random.default_rng(0)
    found = system.transmit(PICTURE, AWGN(snr_db), PICTURE.size // 3, rng, AWGN(10.0))
    assert not found.outage
    return found.picture


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_codec(name, double):
    def coded():
        codec = LEARNED[name]()
        data = codec.encode(PICTURE, codec.levels // 2)
        return data, codec.decompress(data)

    data, picture = coded()
    double()
    again, same = coded()
    assert again == data
    np.testing.assert_array_equal(same, picture)


@pytest.mark.parametrize(("name", "zoo"), SYSTEMS)
def test_a_system(name, zoo, double):
    """Header and all."""
    before = sent(SystemSpec(name, zoo).load())
    double()
    np.testing.assert_array_equal(sent(SystemSpec(name, zoo).load()), before)


def test_what_is_left_of_lost_blocks(double, monkeypatch):
    lost = []
    beliefs = ldpc.beliefs
    monkeypatch.setattr(ldpc, "beliefs", lambda llrs, *rest: lost.append(llrs) or beliefs(llrs, *rest))
    before = sent(SystemSpec("quantised+uep").load(), 5.0)
    double()
    np.testing.assert_array_equal(sent(SystemSpec("quantised+uep").load(), 5.0), before)
    assert lost


def test_a_learned_codec_behind_a_channel_code(double):
    before = sent(Digital(LEARNED["gmm"]()))
    double()
    np.testing.assert_array_equal(sent(Digital(LEARNED["gmm"]())), before)
