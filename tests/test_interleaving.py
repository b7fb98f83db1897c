"""The order of sending: every use once, neighbours far apart, and a fade shared by all blocks."""

import numpy as np
import pytest
from processes import photograph

from jscc_sim.allocation import Uniform
from jscc_sim.channels import parse_channel
from jscc_sim.coding.interleaving import interleave, places
from jscc_sim.metrics import measure
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.zoo import load_zoo

LENGTHS = (0, 1, 2, 3, 4, 6, 12, 30, 97, 210, 1000, 30030, 73728)


@pytest.mark.parametrize("uses", LENGTHS)
def test_every_use_carries_one_symbol(uses):
    assert sorted(places(uses)) == list(range(uses))
    payload = np.arange(uses).astype(np.complex64)
    assert (interleave(payload)[places(uses)] == payload).all()


@pytest.mark.parametrize("run", [8, 16, 64, 192, 768])
@pytest.mark.parametrize("uses", [6144, 24576, 73728])
def test_a_block_is_spread_over_the_whole_frame(uses, run):
    where = np.sort(places(uses)[1000 : 1000 + run])
    around = np.diff(np.append(where, where[0] + uses))
    assert around.min() > 0.35 * uses / run
    assert around.max() < 2.7 * uses / run


def test_a_burst_takes_a_little_of_every_block():
    ratios = np.repeat([32, 192, 16, 768], 50)
    offsets = np.concatenate([[0], np.cumsum(ratios)])
    uses = int(offsets[-1])
    burst = np.zeros(uses, bool)
    burst[uses // 3 : uses // 3 + uses // 10] = True
    lost = np.add.reduceat(burst[places(uses)], offsets[:-1], dtype=int)
    assert np.abs(lost - ratios / 10).max() <= 3


def test_block_fading_costs_less_than_in_block_order(monkeypatch):
    picture = photograph(256, 256, "astronaut")
    system = BlockJSCC(load_zoo("conv-small"), Uniform(), genie=True)
    channel, budget = parse_channel("rayleigh-block:256", 10.0), 256 * 256 * 3 // 16

    def psnr_db():
        sent = system.transmit(picture, channel, budget, np.random.default_rng(5))
        return measure(sent.picture, picture).psnr_db

    spread = psnr_db()
    monkeypatch.setattr("jscc_sim.systems.analog.interleave", lambda payload: payload)
    monkeypatch.setattr("jscc_sim.systems.analog.deinterleave", lambda heard: heard)
    assert psnr_db() < spread - 0.5
