"""OFDM: symbols on carriers, a cyclic prefix before each, pilots among the data, a preamble in front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import AirTime, Received, Symbols
from jscc_sim.units import power_to_db
from jscc_sim.waveforms.base import LMMSE, Samples, Waveform
from jscc_sim.waveforms.reception import receive
from jscc_sim.waveforms.resource_grid import LENGTHS, PREAMBLE_ROWS, SIGNAL, ResourceGrid, first_good, rows_of

OVERSAMPLING = 4
"""At which peaks between samples are looked for."""


@dataclass(frozen=True)
class OFDM(ResourceGrid, Waveform):
    """fft: carriers of the transform; cp: samples of the cyclic prefix; spacing: of carriers in Hz; pilots:
    every how many carriers and rows there is one, and on the last of both; guard: carriers at the band's
    edges that stay empty, by which the noise is measured. Raises InputError for a waveform that is none."""

    def _uses(self, rows: int) -> int:
        return -(-(self.active + 1) * (PREAMBLE_ROWS + rows) * self.row_samples // self.fft)

    def room(self, budget: int) -> int:
        """See Waveform.room."""
        codes = range(self.code_for(self.least_rows), LENGTHS)
        too_long = first_good(codes, lambda code: self._uses(rows_of(code)) > budget)
        last = (LENGTHS if too_long is None else too_long) - 1
        return self.symbols_in(rows_of(last)) if last in codes else 0

    def air_time(self, symbols: int) -> AirTime:
        """See Waveform.air_time. The band's width is that of the active carriers and of the empty one in
        their middle, which counts as prefix does: it carries nothing."""
        rows = self.rows_for(symbols)
        data = self.symbols_in(rows)
        pilots = len(self.pilot_carriers) * len(self.pilot_rows(rows))
        preamble = PREAMBLE_ROWS * self.active + SIGNAL
        return AirTime(data, pilots, self._uses(rows) - data - pilots - preamble, preamble)

    def modulate(self, symbols: Symbols) -> Samples:
        """See Waveform.modulate."""
        return self.samples_of(self._rows(symbols))

    def receive(self, samples: Samples, estimator: str = LMMSE) -> Received:
        """See Waveform.receive."""
        return receive(self, samples, estimator)

    def papr_db(self, symbols: Symbols) -> float | None:
        """See Waveform.papr_db: of the body, at OVERSAMPLING times the rate."""
        peaks, mean = self.row_powers(symbols)
        return power_to_db(float(peaks.max() / mean)) if mean > 0 else None

    def row_powers(self, symbols: Symbols) -> tuple[NDArray[np.float64], float]:
        """[rows] the largest power within each row, and the mean power of all."""
        from scipy import fft

        body = self._rows(symbols)[PREAMBLE_ROWS:]
        spectrum = np.zeros((len(body), OVERSAMPLING * self.fft), np.complex64)
        spectrum[:, self.carriers] = body
        power = np.square(np.abs(fft.ifft(spectrum, axis=1, norm="ortho")), dtype=np.float64)
        return power.max(axis=1), float(power.mean())

    def _rows(self, symbols: Symbols) -> NDArray[np.complex64]:
        """[PREAMBLE_ROWS + rows, active] of a frame."""
        rows = self.rows_for(len(symbols))
        body = np.zeros((rows, self.active), np.complex64)
        body[np.ix_(self.pilot_rows(rows), self.pilot_carriers)] = self.pilot_symbols
        places = self.data_places(rows)
        body.reshape(-1)[places[: len(symbols)]] = symbols
        body.reshape(-1)[self.signal_places] = self.signal_of(self.code_for(rows))
        return np.concatenate([self.preamble, body])
