"""What a sender draws for itself is never the channel's own; what it knows of the fading is what comes."""

from __future__ import annotations

import numpy as np
import pytest

from jscc_sim.channels import AWGN, Fading, parse_channel
from jscc_sim.systems.base import OWN, own_draws, own_stream, true_fading
from jscc_sim.systems.link_quality import csit_snr_db, probe_db

ONES = np.ones(400, np.complex64)
START = 150
FADINGS = (Fading(10.0, 0.0, 1), Fading(10.0, 0.0, 64), Fading(10.0, 2.0, None), Fading(10.0, 0.0, 7, 15.0))


@pytest.mark.parametrize("draw", [0, 1, 7])
@pytest.mark.parametrize("seed", [0, 1, 2, 7, 2**32 + 7, 7 << 32 | 1, OWN, OWN << 32, OWN << 128 | 1])
def test_no_seed_of_a_channel_gives_a_senders_draws(seed, draw):
    own = own_draws(AWGN(0.0))(ONES, draw)
    true = AWGN(0.0)(ONES, np.random.default_rng(seed))
    noise = [np.asarray(received.symbols - ONES) for received in (own, true)]
    assert abs(np.vdot(*noise)) < 0.25 * np.linalg.norm(noise[0]) * np.linalg.norm(noise[1])


def test_own_streams_are_spawned_where_no_channel_spawns():
    """A channel spawns from a seed without a spawn key: its streams' keys have one number, these have two."""
    keys = {own_stream(draw).bit_generator.seed_seq.spawn_key for draw in range(3)}
    assert keys == {(OWN, 0), (OWN, 1), (OWN, 2)}
    assert [child.bit_generator.seed_seq.spawn_key for child in np.random.default_rng(5).spawn(2)] == [
        (0,),
        (1,),
    ]


@pytest.mark.parametrize("channel", FADINGS, ids=repr)
def test_foresight_sees_the_fades_behind_the_header(channel):
    """Tried behind START uses, symbols meet the fades of the frame from there on, and other noise."""
    frame = channel(np.ones(START + len(ONES), np.complex64), np.random.default_rng(3))
    tried = true_fading(channel, np.random.default_rng(3))(ONES, 0, START)
    np.testing.assert_array_equal(tried.estimate, frame.estimate[START:])
    assert not np.isclose(tried.symbols, frame.symbols[START:]).any()


@pytest.mark.parametrize("channel", FADINGS, ids=repr)
def test_an_informed_sender_knows_what_its_payload_meets(channel):
    rng = np.random.default_rng(8)
    met = probe_db(lambda symbols: channel(symbols, np.random.default_rng(8)), START + 400)[START:]
    found = csit_snr_db(true_fading(channel, rng), START, 400)
    capacity = np.log2(1 + 10 ** (met / 10)).mean()
    assert found == pytest.approx(10 * np.log10(2**capacity - 1), abs=1e-3)


def test_tried_symbols_alone_come_back():
    for name in ("awgn", "rayleigh-block:9"):
        received = own_draws(parse_channel(name, 10.0))(ONES, 0, START)
        assert len(received.symbols) == len(ONES)
        assert received.estimate is None or len(received.estimate) == len(ONES)
