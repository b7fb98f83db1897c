"""Pictures do not depend on what a program around them has told torch and Sionna to be the default."""

import numpy as np
import pytest
from processes import photograph

from jscc_sim.channels import AWGN
from jscc_sim.codecs import LEARNED
from jscc_sim.coding import crc, ldpc, soft_transport
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


def forget():
    """Encoders and decoders are made when they are first needed."""
    for made in (ldpc._code, soft_transport._decoder, crc._encoder):
        made.cache_clear()


@pytest.fixture
def double():
    """Switches torch's default to double precision, and back at the end."""
    import torch

    before = torch.get_default_dtype()

    def switch():
        forget()
        torch.set_default_dtype(torch.float64)

    yield switch
    torch.set_default_dtype(before)
    forget()


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


def test_what_is_left_of_lost_blocks(double):
    before = sent(SystemSpec("quantised+uep").load(), 5.0)
    double()
    np.testing.assert_array_equal(sent(SystemSpec("quantised+uep").load(), 5.0), before)
    assert soft_transport._decoder.cache_info().misses, "some blocks were lost"


def test_a_learned_codec_behind_a_channel_code(double):
    before = sent(Digital(LEARNED["gmm"]()))
    double()
    np.testing.assert_array_equal(sent(Digital(LEARNED["gmm"]())), before)


def test_sionna_is_told_its_precision():
    from sionna.phy import config

    forget()
    before, config.precision = config.precision, "double"
    try:
        made = (*ldpc._code(100, 200, 2), soft_transport._decoder(100, 200, 2), crc._encoder(100, 16))
        assert {block.precision for block in made} == {"single"}
    finally:
        config.precision = before
        forget()
