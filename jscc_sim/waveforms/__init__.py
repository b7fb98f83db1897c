"""What carries a frame's symbols through the air: nothing at all, or OFDM."""

from jscc_sim.waveforms.base import CSI_OF_SAMPLES, ESTIMATED, ESTIMATORS, FORMAT, LMMSE, Waveform
from jscc_sim.waveforms.catalogue import (
    PARAMETERS,
    SYMBOLS,
    WAVEFORMS,
    csi_with,
    parse_link,
    parse_waveform,
    waveform_name,
)
from jscc_sim.waveforms.ofdm import OFDM
from jscc_sim.waveforms.resource_grid import WIDEST_SPACING_HZ

__all__ = [
    "CSI_OF_SAMPLES",
    "ESTIMATED",
    "ESTIMATORS",
    "FORMAT",
    "LMMSE",
    "OFDM",
    "PARAMETERS",
    "SYMBOLS",
    "WAVEFORMS",
    "WIDEST_SPACING_HZ",
    "Waveform",
    "csi_with",
    "parse_link",
    "parse_waveform",
    "waveform_name",
]
