"""A picture is sent once for the page, and what came of it is kept: a change of one system is not to be waited
for twice."""

from __future__ import annotations

from functools import lru_cache

from jscc_sim.api import Sent, transmit
from jscc_sim.demo.chosen import Chosen
from jscc_sim.demo.settings import Air, Scheme
from jscc_sim.systems.catalogue import BLOCK_JSCC


@lru_cache(maxsize=8)
def send(chosen: Chosen, air: Air, scheme: Scheme) -> Sent:
    """What `transmit` gives. Raises JsccError."""
    own = {"policy": scheme.policy, "zoo": scheme.zoo} if scheme.system == BLOCK_JSCC else {}
    return transmit(
        chosen.pixels,
        snr_db=air.snr_db,
        cbr=air.cbr,
        system=scheme.system,
        channel=air.channel,
        csi=air.csi,
        waveform=air.waveform,
        sender_snr_db=air.sender_snr_db,
        seed=air.seed,
        **own,
    )
