"""The channel against theory. Statistical bounds are those of `signals`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from signals import mean_is, uncorrelated

from jscc_sim.channels import (
    AWGN,
    EQUALISERS,
    Equalised,
    Fading,
    Received,
    complex_normal,
    equalise,
    papr_db,
    parse_channel,
)
from jscc_sim.errors import InputError

USES = 200_000
NOTHING = np.zeros(USES, np.complex64)
QPSK = np.exp(1j * np.pi / 4 * (2 * np.random.default_rng(9).integers(0, 4, USES) + 1)).astype(np.complex64)
K_FACTORS = (0.0, 1.0, 8.0)
EVERY = [
    AWGN(7),
    *(Fading(7, k, c, csi) for k in (0, 4) for c in (None, 64, 1) for csi in (None, 15)),
    Fading(7, 0, 1, real=True),
]


def rng(seed=0):
    return np.random.default_rng(seed)


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [-10, 0, 13])
def test_noise_power_is_that_of_the_snr(snr_db):
    received = AWGN(snr_db)(QPSK, rng())
    noise = received.symbols - QPSK
    assert received.noise_variance == pytest.approx(10 ** (-snr_db / 10))
    assert received.estimate is None
    assert mean_is(np.abs(noise) ** 2, 10 ** (-snr_db / 10))
    assert mean_is(noise.real**2, 10 ** (-snr_db / 10) / 2)


def test_noise_is_circular_white_and_gaussian():
    noise = AWGN(0)(NOTHING, rng()).symbols
    assert uncorrelated(noise, np.conj(noise))
    assert uncorrelated(noise[1:], noise[:-1])
    assert uncorrelated(noise, QPSK)
    assert stats.kstest(noise.real[:20_000] * math.sqrt(2), "norm").pvalue > 1e-4


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_measured_snr_is_that_of_the_channel(channel):
    """Es/N0, under fading its average: received signal power over noise power."""
    channel = replace(channel, csi_db=None, coherence=1) if isinstance(channel, Fading) else channel
    noise = channel(NOTHING, rng()).symbols
    signal = channel(QPSK, rng()).symbols - noise
    assert mean_is(np.abs(signal) ** 2, 1)
    assert mean_is(np.abs(noise) ** 2, 10**-0.7)


@pytest.mark.parametrize("channel", EVERY, ids=str)
@pytest.mark.parametrize("less", [0, 1, 40, 700])
def test_a_longer_frame_meets_the_same_channel_first(channel, less):
    long, short = channel(QPSK[:1000], rng(5)), channel(QPSK[:less], rng(5))
    np.testing.assert_array_equal(short.symbols, long.symbols[:less])
    if long.estimate is not None:
        np.testing.assert_array_equal(short.estimate, long.estimate[:less])


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_noise_is_the_same_under_every_kind_of_fading(channel):
    np.testing.assert_array_equal(
        channel(NOTHING[:500], rng(3)).symbols, AWGN(7)(NOTHING[:500], rng(3)).symbols
    )


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_noise_scales_with_the_snr_alone(channel):
    at_7, at_27 = channel(NOTHING[:500], rng(3)), channel.at(27)(NOTHING[:500], rng(3))
    np.testing.assert_allclose(at_27.symbols, at_7.symbols / 10, rtol=1e-6)


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_the_next_frame_meets_other_noise(channel):
    same = rng(3)
    first, second = (channel(NOTHING[:50], same).symbols for _ in range(2))
    assert not np.isclose(first, second).any()


def test_prefix_of_a_draw():
    long, short = complex_normal(100, 2.0, rng(1)), complex_normal(7, 2.0, rng(1))
    np.testing.assert_array_equal(short, long[:7])
    assert long.dtype == np.complex64


# --- fading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_fading_is_rician(k_factor):
    h = Fading(0, k_factor, 1)(NOTHING, rng()).estimate
    assert mean_is(np.abs(h) ** 2, 1)
    assert mean_is(h.real, math.sqrt(k_factor / (1 + k_factor)))
    assert mean_is(h.imag, 0)
    theory = stats.rice(math.sqrt(2 * k_factor), scale=math.sqrt(1 / (2 * (1 + k_factor))))
    assert stats.kstest(np.abs(h[:20_000]), theory.cdf).pvalue > 1e-4


def test_rayleigh_power_is_exponential():
    h = Fading(0, 0, 1)(NOTHING, rng(2)).estimate
    assert stats.kstest(np.abs(h[:20_000]) ** 2, "expon").pvalue > 1e-4
    assert uncorrelated(h, np.conj(h))
    assert uncorrelated(h[1:], h[:-1])


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_slow_fading_over_frames(k_factor):
    same = rng(4)
    channel = Fading(0, k_factor)
    power = np.array([np.abs(channel(NOTHING[:2], same).estimate[0]) ** 2 for _ in range(4000)])
    assert mean_is(power, 1)


@pytest.mark.parametrize(
    ("coherence", "fades"), [(None, 1), (1000, 1), (5000, 1), (64, 16), (300, 4), (1, 1000)]
)
def test_coherence(coherence, fades):
    h = Fading(10, 0, coherence)(NOTHING[:1000], rng()).estimate
    span = coherence or 1000
    assert len(np.unique(h)) == fades
    for start in range(0, 1000, span):
        assert len(np.unique(h[start : start + span])) == 1


def test_coherence_far_beyond_the_frame_costs_no_memory():
    channel = parse_channel("rayleigh-block:1000000000000", 10)
    assert channel(QPSK[:100], rng()).symbols.shape == (100,)


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_received_is_h_times_sent_plus_noise(k_factor):
    received = Fading(3, k_factor, 7)(QPSK, rng())
    noise = AWGN(3)(NOTHING, rng()).symbols
    np.testing.assert_allclose(received.symbols, received.estimate * QPSK + noise, atol=1e-5)
    assert received.noise_variance == pytest.approx(10**-0.3)


def test_real_fading_multiplies_by_the_magnitude_and_tells_nothing():
    real, full = Fading(3, 2, 1, real=True)(QPSK, rng()), Fading(3, 2, 1)(QPSK, rng())
    noise = AWGN(3)(NOTHING, rng()).symbols
    assert real.estimate is None
    np.testing.assert_allclose(real.symbols, np.abs(full.estimate) * QPSK + noise, atol=1e-5)


# --- what the receiver knows ----------------------------------------------------------------------


@pytest.mark.parametrize("k_factor", K_FACTORS)
@pytest.mark.parametrize("csi_db", [-20, 0, 5, 20])
def test_estimates_of_the_channel_are_linear_mmse(k_factor, csi_db):
    """What is left of h is uncorrelated with the estimate: it is neither too long, as least squares is by
    1 / (1 + e) (half of it at 0 dB), nor too short."""
    exact, noisy = (Fading(6, k_factor, 1, csi)(QPSK, rng(8)) for csi in (None, csi_db))
    np.testing.assert_array_equal(exact.symbols, noisy.symbols)
    error = noisy.estimate - exact.estimate
    noise = exact.symbols - exact.estimate * QPSK
    scattered, least_squares = 1 / (1 + k_factor), 10 ** (-csi_db / 10)
    left = scattered * least_squares / (scattered + least_squares)
    assert mean_is(np.abs(error) ** 2, left)
    assert mean_is(error.real, 0)
    assert uncorrelated(error, noisy.estimate - np.sqrt(1 - scattered))
    assert uncorrelated(error, np.conj(error))
    assert uncorrelated(error, noise)
    assert noisy.noise_variance == pytest.approx(10**-0.6 + left)


def test_csi_error_counts_as_noise():
    """What y leaves of the estimate times the symbol has the variance that is passed on."""
    received = Fading(6, 1, 1, 10)(QPSK, rng())
    assert mean_is(np.abs(received.symbols - received.estimate * QPSK) ** 2, received.noise_variance)


def test_slow_fading_has_one_estimate_a_frame():
    assert len(np.unique(Fading(6, 1, None, 10)(QPSK[:99], rng()).estimate)) == 1


# --- equalisers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EQUALISERS)
def test_nothing_to_equalise(method):
    received = AWGN(4)(QPSK[:99], rng())
    equalised = equalise(received, method)
    np.testing.assert_array_equal(equalised.symbols, received.symbols)
    assert (equalised.gain == 1).all()
    assert equalised.noise_variance == pytest.approx(np.full(99, 10**-0.4))


def test_no_equaliser_leaves_the_symbols():
    received = Fading(4, 0, 1)(QPSK[:99], rng())
    np.testing.assert_array_equal(equalise(received, "none").symbols, received.symbols)


@pytest.mark.parametrize("k_factor", K_FACTORS)
@pytest.mark.parametrize("method", ["zf", "mmse"])
def test_symbols_are_gain_times_sent_plus_noise_as_stated(k_factor, method):
    equalised = equalise(Fading(5, k_factor, 1)(QPSK, rng()), method)
    white = (equalised.symbols - equalised.gain * QPSK) / np.sqrt(equalised.noise_variance)
    assert mean_is(np.abs(white) ** 2, 1)
    assert mean_is(white.real**2, 0.5)
    assert uncorrelated(white, QPSK)
    fades = np.argsort(equalised.gain if method == "mmse" else -equalised.noise_variance)
    for fifth in np.array_split(fades, 5):  # it holds for weak and for strong fades
        assert mean_is(np.abs(white[fifth]) ** 2, 1)


def test_zf_is_unbiased_and_mmse_nearer():
    received = Fading(5, 0, 1)(QPSK, rng())
    zf, mmse = equalise(received, "zf"), equalise(received, "mmse")
    np.testing.assert_array_equal(zf.gain, 1)
    assert ((mmse.gain > 0) & (mmse.gain < 1)).all()
    np.testing.assert_allclose(mmse.symbols / mmse.gain, zf.symbols, rtol=1e-4)
    np.testing.assert_allclose(mmse.unbiased_variance, zf.noise_variance, rtol=1e-6)
    error = np.abs(mmse.symbols - QPSK) ** 2
    theory = 1 / (1 + np.abs(received.estimate) ** 2 * 10**0.5)
    assert mean_is(error - theory, 0)
    assert error.mean() < np.mean(np.abs(zf.symbols - QPSK) ** 2)


@pytest.mark.parametrize("method", ["zf", "mmse"])
def test_a_fade_to_nothing_stays_finite(method):
    h = np.array([0, 1e-30, 1e-5j, 1], np.complex64)
    equalised = equalise(Received(QPSK[:4] * h, 0.1, h), method)
    for values in (equalised.symbols, equalised.gain, equalised.noise_variance, equalised.unbiased_variance):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("method", EQUALISERS)
def test_one_estimate_for_all_uses(method):
    """As Received allows it: the same as one per use."""
    received = Fading(5)(QPSK[:50], rng())
    one = equalise(replace(received, estimate=received.estimate[:1]), method)
    each = equalise(received, method)
    for a, b in zip(
        (one.symbols, one.gain, one.noise_variance),
        (each.symbols, each.gain, each.noise_variance),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert len(one.part(10, 30).gain) == 20


def test_unknown_equaliser():
    with pytest.raises(InputError, match="'dfe' is not one of none, zf, mmse"):
        equalise(AWGN(4)(QPSK[:9], rng()), "dfe")


def test_part_of_a_frame():
    whole = Equalised(QPSK[:9], np.arange(9.0), np.arange(9.0) + 1)
    part = whole.part(2, 5)
    np.testing.assert_array_equal(part.symbols, QPSK[2:5])
    assert part.gain.tolist() == [2, 3, 4]
    assert part.noise_variance.tolist() == [3, 4, 5]


# --- planning -------------------------------------------------------------------------------------


def block_snrs(channel, seed=0):
    """Measured SNR of each of USES fades, as the receiver sees it."""
    received = replace(channel, coherence=1)(NOTHING, rng(seed))
    return 10 * np.log10(np.abs(received.estimate) ** 2 / received.noise_variance)


@pytest.mark.parametrize("k_factor", K_FACTORS)
@pytest.mark.parametrize("csi_db", [None, 12])
@pytest.mark.parametrize("coherence", [None, 64])
def test_dependable_snr_is_exceeded_in_95_of_100_fades(k_factor, csi_db, coherence):
    channel = Fading(9, k_factor, coherence, csi_db)
    assert mean_is(block_snrs(channel) < channel.outage_snr_db(), 0.05)


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_effective_snrs_are_equally_likely(k_factor):
    channel = Fading(9, k_factor, csi_db=12)
    measured = block_snrs(channel, 1)
    for i, snr_db in enumerate(channel.effective_snrs_db()):
        assert mean_is(measured < snr_db, (i + 0.5) / 16)


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_fast_fading_depends_on_its_capacity(k_factor):
    channel = Fading(9, k_factor, 1)
    capacity = np.log2(1 + 10 ** (block_snrs(channel) / 10)).mean()
    expected = 10 * math.log10(2**capacity - 1) - 2
    assert channel.outage_snr_db() == pytest.approx(expected, abs=0.1)  # 16 quantiles, not all


def test_awgn_depends_on_its_snr():
    assert AWGN(3).outage_snr_db() == 3
    assert AWGN(3).effective_snrs_db().tolist() == [3]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "csi", "channel"),
    [
        ("awgn", "perfect", AWGN(5)),
        ("rayleigh-slow", "perfect", Fading(5)),
        ("rayleigh-block:64", "perfect", Fading(5, 0, 64)),
        ("rayleigh-fast", "noisy:20", Fading(5, 0, 1, 20)),
        ("rician-slow:4", "perfect", Fading(5, 4)),
        ("rician-block:0.5:64", "noisy:-3.5", Fading(5, 0.5, 64, -3.5)),
        ("rician-fast:0", "perfect", Fading(5, 0, 1)),
        ("rayleigh-real-fast", "perfect", Fading(5, 0, 1, real=True)),
        ("rician-real-fast:2", "perfect", Fading(5, 2, 1, real=True)),
    ],
)
def test_channel_names(name, csi, channel):
    assert parse_channel(name, 5, csi) == channel


@pytest.mark.parametrize(
    "name",
    [
        "", "AWGN", "awgn:3", "awgn-slow", "rayleigh", "rayleigh-", "rayleigh-slow:1", "rayleigh-block",
        "rayleigh-block:64:2", "rayleigh-real-slow", "rician-slow", "rician-block:4", "nakagami-slow:2",
        "rayleigh-block:x", "rayleigh-block:1.5", "rayleigh-block:0", "rayleigh-block:-8", "rician-slow:x",
        "rician-slow:-1", "rician-slow:inf", "rician-slow:1e300", "rician-slow:nan", "rician-block:4:x",
    ],
)  # fmt: skip
def test_what_is_no_channel(name):
    with pytest.raises(InputError):
        parse_channel(name, 5)


@pytest.mark.parametrize("csi", ["", "good", "noisy", "noisy:", "noisy:x", "noisy:nan", "noisy:99"])
def test_what_is_no_csi(csi):
    with pytest.raises(InputError, match="CSI"):
        parse_channel("rayleigh-slow", 5, csi)


@pytest.mark.parametrize("name", ["awgn", "rayleigh-real-fast", "rician-real-fast:2"])
def test_noisy_csi_of_what_is_not_estimated(name):
    with pytest.raises(InputError, match=f"channel {name} has no channel estimate, .* noisy:20"):
        parse_channel(name, 5, "noisy:20")


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, -31, 61])
def test_snr_out_of_range(snr_db):
    for name in ("awgn", "rayleigh-slow"):
        with pytest.raises(InputError, match="SNR"):
            parse_channel(name, snr_db)


def test_a_nearly_fixed_path_is_planned_for_as_awgn():
    channel = parse_channel("rician-slow:1e6", 5)
    assert channel.outage_snr_db() == pytest.approx(5, abs=0.05)
    assert channel.effective_snrs_db() == pytest.approx(np.full(16, 5), abs=0.05)


def test_peak_to_average_power_ratio():
    assert papr_db(QPSK) == pytest.approx(0, abs=1e-6)
    assert papr_db(np.array([0, 0, 3j, 0], np.complex64)) == pytest.approx(10 * math.log10(4))
    assert papr_db(np.array([1, 1j, 2, -2j], np.complex64)) == pytest.approx(10 * math.log10(4 / 2.5))
    assert papr_db(np.zeros(4, np.complex64)) is papr_db(np.zeros(0, np.complex64)) is None
