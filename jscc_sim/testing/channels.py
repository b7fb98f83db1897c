"""What every Channel promises."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Received, Symbols
from jscc_sim.units import db_to_power, noise_variance

STANDARD_ERRORS = 4.5
"""That a mean may be off: a right channel misses that once in 100 000 seeds, and the seeds are fixed."""

ROUNDING = 1e-3
"""Of single precision, relatively."""


class ChannelContract:
    """What every Channel promises. Set `channel` to an instance; means are over `frames` frames of `uses`
    channel uses each."""

    channel: Channel
    frames: ClassVar[int] = 400
    uses: ClassVar[int] = 256

    def test_is_known_by_its_fields(self) -> None:
        fields = {f.name for f in dataclasses.fields(self.channel)}
        hidden = vars(self.channel).keys() - fields
        assert not hidden, f"{sorted(hidden)} are no dataclass fields, so no result would record them"
        assert hash(self.channel) == hash(copy.deepcopy(self.channel))

    def test_returns_a_value_for_every_use(self) -> None:
        for uses in (1, 2, 7, 500):
            received = self._received(_qpsk(uses), 1)
            assert received.symbols.shape == (uses,)
            assert received.symbols.dtype == np.complex64
            assert isinstance(received.noise_variance, float)
            if received.estimate is not None:
                assert received.estimate.shape in ((uses,), (1,))
                assert received.estimate.dtype == np.complex64

    def test_is_deterministic(self) -> None:
        sent = _qpsk(300)
        first, again = self._received(sent, 7), copy.deepcopy(self.channel)(sent, np.random.default_rng(7))
        assert np.array_equal(first.symbols, again.symbols), "two calls with equal seeds differ"
        assert first.noise_variance == again.noise_variance

    def test_every_frame_meets_noise_of_its_own(self) -> None:
        rng = np.random.default_rng(7)
        first, second = (self.channel(_qpsk(300), rng).symbols for _ in range(2))
        assert not np.array_equal(first, second), "two frames met the same noise"

    def test_a_longer_frame_meets_the_same_first(self) -> None:
        """Noise and fades in the order of the uses: frames of any length are compared under the same."""
        sent = _qpsk(500)
        whole = self._received(sent, 5)
        for uses in (1, 40, 333):
            part = self._received(sent[:uses], 5)
            assert np.array_equal(part.symbols, whole.symbols[:uses]), (
                "a longer frame meets other noise first"
            )
            if part.estimate is not None and whole.estimate is not None and len(whole.estimate) > 1:
                assert np.array_equal(part.estimate, whole.estimate[:uses])

    def test_leaves_its_symbols_as_they_are(self) -> None:
        sent = _qpsk(64)
        self._received(sent, 3)
        assert np.array_equal(sent, _qpsk(64)), "the channel changed the symbols it was given"

    def test_noise_power_is_that_of_the_snr(self) -> None:
        """What arrives where nothing is sent: 10**(-snr_db/10), the mean over uses and frames."""
        power = [np.square(np.abs(silent.symbols)).mean() for _, silent in self._pairs()]
        _assert_mean(power, noise_variance(self.channel.snr_db), "noise power")

    def test_fading_has_unit_mean_power(self) -> None:
        """What becomes of symbols of unit power beside the noise."""
        power = [np.square(np.abs(heard.symbols - silent.symbols)).mean() for heard, silent in self._pairs()]
        _assert_mean(power, 1.0, "power of the received signal")

    def test_announces_the_variance_of_what_it_leaves_unknown(self) -> None:
        """Noise, and what the receiver's estimate of the fading misses."""
        sent, found, announced = _qpsk(self.uses), [], []
        for heard, silent in self._pairs():
            left = silent.symbols if heard.estimate is None else heard.symbols - heard.estimate * sent
            found.append(np.square(np.abs(left)).mean())
            announced.append(float(np.mean(heard.noise_variance)))
        _assert_mean(found, float(np.mean(announced)), "variance beside the estimate")

    def test_another_snr_is_the_same_channel_with_other_noise(self) -> None:
        silence = np.zeros(300, np.complex64)
        noise, less = (c(silence, np.random.default_rng(2)) for c in (self.channel, self._at(10.0)))
        expected = math.sqrt(db_to_power(-10.0)) * noise.symbols
        assert np.allclose(less.symbols, expected, rtol=ROUNDING, atol=1e-6), (
            "10 dB more are not 10 dB less noise"
        )
        assert less.noise_variance < noise.noise_variance

    def test_plans_with_finite_snrs(self) -> None:
        for channel in (self.channel, self._at(10.0)):
            snrs = channel.effective_snrs_db()
            assert snrs.ndim == 1
            assert len(snrs) > 0
            assert np.isfinite(snrs).all()
            assert math.isfinite(channel.outage_snr_db())
        assert self._at(10.0).outage_snr_db() > self.channel.outage_snr_db(), "more SNR promises no more"

    def _at(self, more_db: float) -> Channel:
        return self.channel.at(self.channel.snr_db + more_db)

    def _received(self, symbols: Symbols, seed: int) -> Received:
        return self.channel(symbols, np.random.default_rng(seed))

    def _pairs(self) -> Iterator[tuple[Received, Received]]:
        """Of each frame: symbols as received, and silence under the same fading and noise."""
        sent, silence = _qpsk(self.uses), np.zeros(self.uses, np.complex64)
        for seed in range(self.frames):
            yield self._received(sent, seed), self._received(silence, seed)


def _qpsk(uses: int) -> Symbols:
    quarters: NDArray[np.int64] = np.random.default_rng(9).integers(0, 4, uses)
    return np.exp(1j * np.pi / 4 * (2 * quarters + 1)).astype(np.complex64)


def _assert_mean(values: list[float], expected: float, what: str) -> None:
    found, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    near = abs(found - expected) <= STANDARD_ERRORS * error + ROUNDING * expected
    assert near, f"mean {what} is {found:.4g}, not {expected:.4g} (standard error {error:.2g})"
