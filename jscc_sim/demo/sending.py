"""What the page sends is kept: where one system changes, the other is not waited for again."""

from __future__ import annotations

from functools import lru_cache

from jscc_sim.api import Sent, transmit
from jscc_sim.demo.chosen import Chosen
from jscc_sim.demo.settings import Air, Scheme


@lru_cache(maxsize=8)
def send(chosen: Chosen, air: Air, scheme: Scheme) -> Sent:
    """What `transmit` gives. Raises JsccError."""
    policy, zoo = scheme.own
    return transmit(
        chosen.pixels,
        snr_db=air.snr_db,
        cbr=air.cbr,
        system=scheme.system,
        zoo=zoo,
        policy=policy,
        channel=air.channel,
        csi=air.csi,
        waveform=air.waveform,
        sender_snr_db=air.sender_snr_db,
        seed=air.seed,
    )
