"""What carries a frame's symbols through the air: nothing at all, or OFDM."""

from jscc_sim.waveforms.base import CSI_OF_SAMPLES, ESTIMATED, ESTIMATORS, FORMAT, Waveform
from jscc_sim.waveforms.catalogue import (
    PARAMETERS,
    SYMBOLS,
    WAVEFORMS,
    csi_with,
    parse_link,
    parse_waveform,
)
from jscc_sim.waveforms.ofdm import OFDM

__all__ = [
    "CSI_OF_SAMPLES",
    "ESTIMATED",
    "ESTIMATORS",
    "FORMAT",
    "OFDM",
    "PARAMETERS",
    "SYMBOLS",
    "WAVEFORMS",
    "Waveform",
    "csi_with",
    "parse_link",
    "parse_waveform",
]
