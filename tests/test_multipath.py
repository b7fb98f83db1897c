"""Echoes and impairments against theory, direct sums and Sionna's tables. Statistical bounds are those of
`signals`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from signals import mean_is, qpsk, uncorrelated

from jscc_sim.channels import channel_name, complex_normal, parse_channel
from jscc_sim.channels.impairments import IMPAIRMENTS, Clip, Delay, Drift, PhaseNoise, Rapp, parse_impairments
from jscc_sim.channels.multipath import Fades, Multipath
from jscc_sim.errors import InputError
from jscc_sim.waveforms import OFDM, parse_link

RATE_HZ = 3.84e6
MODELS = "abcde"


def rng(seed=0):
    return np.random.default_rng(seed)


def fades(channel, draws, seed=0, times_s=(0.0,)):
    """[draws, P, T] gains of the paths."""
    generator = rng(seed)
    return np.stack([channel._processes(generator).at(np.array(times_s)) for _ in range(draws)])


def tone(hz, count, rate_hz=RATE_HZ):
    return np.exp(2j * np.pi * hz / rate_hz * np.arange(count)).astype(np.complex64)


# --- delays and powers ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_delay_lines_are_those_of_3gpp(model):
    """As Sionna has them, scaled to the delay spread that is asked for, and that is what their powers make.
    Root mean squares of TR 38.901's own tables are 1 within their rounding."""
    from sionna.phy.channel.tr38901 import TDL

    channel = parse_channel(f"tdl-{model}:100", 10)
    theirs = TDL(model.upper(), 100e-9, 3.5e9, device="cpu")
    np.testing.assert_allclose(channel.delays_s, theirs.delays.numpy().reshape(-1), rtol=1e-6)
    powers = theirs.mean_powers.numpy().reshape(-1)
    np.testing.assert_allclose(channel.powers, powers / powers.sum(), rtol=1e-5)
    assert sum(channel.powers) == pytest.approx(1)
    assert channel.delay_spread_s == pytest.approx(100e-9, rel=0.01)
    assert channel.spread_s == max(channel.delays_s)
    k_db = {"d": 13.3, "e": 22.0}.get(model)
    scattered = channel.powers[0] - channel.direct
    assert (channel.direct == 0) == (k_db is None)
    if k_db is not None:
        assert 10 * math.log10(channel.direct / scattered) == pytest.approx(k_db, abs=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_powers_of_many_draws_are_those_of_the_paths(model):
    channel = parse_channel(f"tdl-{model}:100", 10)
    gains = fades(channel, 2000)[..., 0]
    power = np.abs(gains) ** 2
    for path, expected in enumerate(channel.powers):
        assert mean_is(power[:, path], expected)
    assert mean_is(power.sum(axis=1), 1)
    assert mean_is(np.abs(gains.sum(axis=1)) ** 2, 1)
    assert uncorrelated(gains[:, 1], gains[:, 2])
    scattered = gains[:, 1] / math.sqrt(channel.powers[1])
    assert uncorrelated(scattered, np.conj(scattered))
    assert stats.kstest(np.abs(scattered) ** 2, "expon").pvalue > 1e-4


def test_a_frames_mean_power_is_that_of_the_ensemble():
    """Over draws and carriers, and no draw is normalised: flat fades keep their exponential powers."""
    generator, carriers = rng(1), np.arange(-1.5e6, 1.5e6, 1e5)
    channel = parse_channel("tdl-c:300", 10)
    found = [np.abs(channel.response(np.zeros(1), carriers, generator)) ** 2 for _ in range(1200)]
    assert mean_is(np.mean(found, axis=(1, 2)), 1)
    flat = parse_channel("tdl-a:0", 10)
    power = [np.abs(flat.response(np.zeros(1), np.zeros(1), generator)[0, 0]) ** 2 for _ in range(1200)]
    assert stats.kstest(power, "expon").pvalue > 1e-4


# --- over time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", [0.05, 0.2, 0.3827, 0.7, 1.3])
def test_scattered_paths_move_as_jakes_says(turns):
    """E[h(t) conj(h(t + tau))] = J0(2 pi f tau), zero at 0.3827 turns."""
    doppler = 350.0
    generator = rng(2)
    gains = np.stack(
        [
            Fades.drawn(np.ones(1), 0.0, doppler, generator).at(np.array([0.3, 0.3 + turns / doppler]))[0]
            for _ in range(6000)
        ]
    )
    product = gains[:, 0] * gains[:, 1].conj()
    assert mean_is(product.real, special.j0(2 * np.pi * turns))
    assert mean_is(product.imag, 0)


def test_the_fixed_path_turns_at_seven_tenths_of_the_largest_shift():
    channel = parse_channel("tdl-e:100:30", 10)
    assert channel.doppler_hz == pytest.approx(30 * 3.5e9 / 299_792_458)
    fixed = Fades.drawn(np.array([0.5]), 0.5, channel.doppler_hz, rng(3))
    times = np.linspace(0, 0.01, 50)
    turns = np.angle(fixed.at(times)[0] / fixed.at(np.zeros(1))[0])
    np.testing.assert_allclose(np.unwrap(turns), 2 * np.pi * 0.7 * channel.doppler_hz * times, atol=1e-6)
    assert parse_channel("tdl-a:100:30:28", 10).doppler_hz == pytest.approx(8 * channel.doppler_hz)


def test_gains_at_many_times_are_the_sum_at_each():
    fade = Fades.drawn(np.array([0.6, 0.4]), 0.1, 50.0, rng(4))
    times = np.arange(40_000) / 1e4
    some = np.array([0, 1, 16_383, 16_384, 39_999])
    turns = 2 * np.pi * fade.shifts_hz[..., None] * times[some] + fade.phases[..., None]
    slow = (fade.amplitudes[..., None] * np.exp(1j * turns)).sum(axis=1)
    np.testing.assert_allclose(fade.at(times)[:, some], slow, atol=1e-12)


# --- samples --------------------------------------------------------------------------------------


def test_whole_delays_are_a_convolution():
    delays = np.array([0, 2, 7])
    channel = Multipath(10, tuple(delays / RATE_HZ), (0.5, 0.3, 0.2))
    sent = complex_normal(3000, 1.0, rng(5))
    arrived = channel.pass_samples(sent, RATE_HZ, rng(6))
    taps = np.zeros(8, np.complex128)
    taps[delays] = channel._processes(rng(6)).at(np.zeros(1))[:, 0]
    direct = np.convolve(sent, taps)
    assert len(arrived) >= len(direct)
    np.testing.assert_allclose(arrived[: len(direct)], direct, atol=2e-5)
    np.testing.assert_allclose(arrived[len(direct) :], 0, atol=2e-5)


@pytest.mark.parametrize(
    "name", ["tdl-a:100", "tdl-c:300", "tdl-d:30", "taps:0/0,133/-3,901/-10", "tdl-c:300:30"]
)
@pytest.mark.parametrize("hz", [0.0, 3e5, -1.2e6])
def test_a_tone_arrives_with_the_response_of_its_frequency(name, hz):
    """At any time well within it; a shorter tone ends in ripples, as what is cut off sharply does."""
    channel = parse_channel(name, 10)
    sent = tone(hz, 40_000)
    arrived = channel.pass_samples(sent, RATE_HZ, rng(7))
    places = np.array([18_000, 20_000, 22_000])
    gain = channel.response(places / RATE_HZ, np.array([hz]), rng(7))[:, 0]
    np.testing.assert_allclose(arrived[places], gain * sent[places], atol=2e-3)


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2e5], ids=["usual rate", "slow rate"])
def test_moving_paths_are_the_slow_sum(rate_hz):
    """h(n) x(n - d) of every path, h at each sample's own time, however few samples a turn takes."""
    delays = np.array([0, 3, 11])
    channel = Multipath(10, tuple(delays / rate_hz), (0.6, 0.3, 0.1), speed_mps=30.0)
    sent = complex_normal(2500, 1.0, rng(8))
    arrived = channel.pass_samples(sent, rate_hz, rng(9))
    times = np.arange(len(arrived)) / rate_hz
    gains = channel._processes(rng(9)).at(times)
    slow = np.zeros(len(arrived), np.complex128)
    for gain, delay in zip(gains, delays, strict=True):
        slow[delay : delay + len(sent)] += gain[delay : delay + len(sent)] * sent
    np.testing.assert_allclose(arrived, slow, atol=4e-3)


@pytest.mark.parametrize("name", ["awgn", "rayleigh-slow", "rician-slow:4"])
def test_flat_channels_on_samples(name):
    channel, sent = parse_channel(name, 10), complex_normal(100, 1.0, rng(10))
    gain = channel.response(np.zeros(2), np.zeros(3), rng(11))
    assert gain.shape == (2, 3)
    assert len(np.unique(gain)) == 1
    np.testing.assert_allclose(channel.pass_samples(sent, RATE_HZ, rng(11)), gain[0, 0] * sent, rtol=1e-5)
    if name != "awgn":
        assert gain[0, 0] == pytest.approx(channel(sent, _first_stream(11)).estimate[0])


def _first_stream(seed):
    """A generator whose first child is that of the seed."""

    class Same:
        def spawn(self, count):
            return [rng(seed), *rng(0).spawn(count - 1)]

    return Same()


@pytest.mark.parametrize("name", ["tdl-a:100:3", "tdl-c:300", "rayleigh-slow", "tdl-a:100:3+phase-noise:-30"])
def test_a_longer_frame_meets_the_same_channel_first(name):
    channel, sent = parse_channel(name, 10), complex_normal(4000, 1.0, rng(12))
    long, short = (channel.pass_samples(sent[:count], RATE_HZ, rng(13)) for count in (4000, 1500))
    ringing = 3e-2 if "tdl" in name else 1e-6  # at fractions of a sample, of what is cut off
    np.testing.assert_allclose(short[:1000], long[:1000], atol=ringing)


def test_noise_of_a_longer_frame_is_the_same_first():
    link = parse_link("tdl-a:100:3", 10, "perfect", "ofdm")
    long, short = link(qpsk(3000), rng(14)), link(qpsk(3000)[:1000], rng(14))
    np.testing.assert_array_equal(long.estimate[:1000], short.estimate)
    np.testing.assert_allclose(long.symbols[:500], short.symbols[:500], atol=0.05)


# --- names ----------------------------------------------------------------------------------------


def test_given_taps():
    channel = parse_channel("taps:0/0,200/-3.0103,500/-6.0206:3", 10)
    np.testing.assert_allclose(channel.delays_s, [0, 200e-9, 500e-9])
    np.testing.assert_allclose(channel.powers, np.array([4, 2, 1]) / 7, rtol=1e-4)
    assert (channel.direct, channel.speed_mps) == (0, 3)
    assert channel.spread_s == pytest.approx(500e-9)
    assert channel.delay_spread_s == pytest.approx(174.96e-9, rel=1e-3)
    assert parse_channel("taps:300/5", 10).powers == (1.0,)
    assert parse_channel("taps:300/5", 10).spread_s == pytest.approx(300e-9)  # late is late, for the prefix


@pytest.mark.parametrize(
    "name",
    [
        "tdl-a:100", "tdl-e:300:3", "tdl-c:30:3:28", "taps:0/0,100/-3", "taps:0/0,100/-3:30",
        "awgn+cfo:500", "tdl-a:100+cfo:-500+delay:2.5+clip:6", "rayleigh-slow+rapp:3",
        "rician-slow:4+phase-noise:-30+drift:12.5",
    ],
)  # fmt: skip
def test_names_make_the_same_channel(name):
    channel = parse_channel(name, 7)
    assert channel_name(channel) == name
    assert parse_channel(channel_name(channel), 7) == channel
    assert channel.at(9) == parse_channel(name, 9)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tdl-a", "is not tdl-a to tdl-e:DELAY_SPREAD_NS"),
        ("tdl-f:100", "'tdl-f:100' is none of"),
        ("tdl-a:x", "is not tdl-a to tdl-e"),
        ("tdl-a:1:2:3:4", "is not tdl-a to tdl-e"),
        ("tdl-a:-1", "delay spread of -1 is outside 0 to 100000"),
        ("tdl-a:nan", "delay spread of nan is outside"),
        ("tdl-a:100:1e9", "speed of 1e+09 is outside 0 to 1000"),
        ("tdl-a:100:3:inf", "carrier of inf is outside 0 to 1000"),
        ("taps", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/0/0", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/x", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/nan", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/-1e9", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/1e9", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:0/3080,5/3080", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:-5/0", "a delay is outside 0 to 100000 ns"),
        ("taps:1e6/0", "a delay is outside 0 to 100000 ns"),
        ("taps:0/0:-3", "speed of -3 is outside 0 to 1000"),
        ("taps:0/0:3:4", "is not taps:DELAY_NS/POWER_DB"),
        ("taps:" + ",".join(["0/0"] * 65), "channel of 65 taps is above the limit of 64"),
        ("awgn+", "impairment + is none of +cfo, +delay, +drift, +phase-noise, +clip, +rapp"),
        ("awgn+hum:3", "impairment +hum:3 is none of"),
        ("awgn+cfo", "impairment +cfo: '' is not a number"),
        ("awgn+cfo:much", "'much' is not a number"),
        ("awgn+cfo:nan", "+cfo:nan is outside -1e+07 to 1e+07 (Hz)"),
        ("awgn+delay:-1", "+delay:-1 is outside 0 to 1e+06 (samples)"),
        ("awgn+drift:1e4", "+drift:10000 is outside -1000 to 1000 (parts per million)"),
        ("awgn+phase-noise:3", "+phase-noise:3 is outside -100 to 0 (dBc)"),
        ("awgn+clip:-11", "+clip:-11 is outside -10 to 40"),
        ("awgn+rapp:inf", "+rapp:inf is outside -10 to 40"),
        ("wire+cfo:3", "'wire+cfo:3' is none of"),
    ],
)  # fmt: skip
def test_what_is_no_channel(name, words):
    with pytest.raises(InputError) as error:
        parse_channel(name, 5)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "csi", "waveform", "words"),
    [
        ("tdl-a:100", "", "symbols", "tdl-a:100 acts on samples, and symbols are none: it needs"),
        ("awgn+cfo:3", "", "symbols", "channel awgn+cfo:3 acts on samples"),
        ("tdl-c:1000", "", "ofdm", "tdl-c:1000 has echoes of 33.2 samples, more than the 18 of the prefix"),
        ("tdl-c:1000+cfo:5", "", "ofdm", "channel tdl-c:1000+cfo:5 has echoes of 33.2 samples"),
        ("rayleigh-fast", "", "ofdm", "tdl-a:0:SPEED_MPS is flat and moves"),
        ("rayleigh-block:64", "perfect", "ofdm", "acts on symbols, not on the samples of a waveform"),
        ("rayleigh-real-fast", "", "ofdm", "acts on symbols, not on the samples of a waveform"),
        ("awgn+drift:3", "perfect", "ofdm", "perfect CSI does not tell of +drift: use --csi estimated"),
        ("awgn+phase-noise:-30", "perfect", "ofdm", "perfect CSI does not tell of +phase-noise"),
        ("tdl-a:100", "noisy:20", "ofdm", "CSI 'noisy:20' is n"),
        ("tdl-a:100", "noisy:20", "symbols", "no channel estimate"),
        ("awgn", "estimated", "symbols", "symbols have none"),
    ],
)  # fmt: skip
def test_what_a_waveform_cannot_undo(name, csi, waveform, words):
    with pytest.raises(InputError) as error:
        parse_link(name, 5, csi, waveform)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_known_offset_leaves_knowledge_perfect():
    for name in ("tdl-a:100+cfo:6", "awgn+cfo:500+delay:3", "rayleigh-slow"):
        assert parse_link(name, 5, "perfect", "ofdm").path == parse_channel(name, 5)
    parse_link("tdl-c:1000", 5, "", "ofdm:cp=40")


# --- impairments ----------------------------------------------------------------------------------


def applied(impairment, samples, seed=0):
    return impairment.apply(samples, RATE_HZ, rng(seed))


def test_an_offset_turns_the_samples():
    sent = complex_normal(1000, 1.0, rng(15))
    turned = applied(IMPAIRMENTS["cfo"](4500.0), sent)
    np.testing.assert_allclose(turned, sent * tone(4500.0, 1000), atol=1e-4)


@pytest.mark.parametrize("delay", [0.0, 5.0, 0.5, 137.25])
def test_a_delay_shifts_by_fractions_too(delay):
    count = np.arange(4000)
    window = np.exp(-(((count - 2000) / 300) ** 2))
    sent = (window * np.exp(2j * np.pi * 0.11 * count)).astype(np.complex64)
    arrived = applied(Delay(delay), sent)
    later = np.arange(len(arrived)) - delay
    expected = np.exp(-(((later - 2000) / 300) ** 2)) * np.exp(2j * np.pi * 0.11 * later)
    np.testing.assert_allclose(arrived, expected, atol=1e-5)


@pytest.mark.parametrize("ppm", [-200.0, 40.0, 1000.0])
def test_a_drift_stretches_a_tone(ppm):
    """A faster clock counts more samples to the cycle."""
    hz = 0.4 * RATE_HZ
    arrived = applied(Drift(ppm), tone(hz, 30_000))
    middle = arrived[10_000:20_000].astype(np.complex128)
    cycles = np.polyfit(np.arange(10_000), np.unwrap(np.angle(middle)), 1)[0] / (2 * np.pi)
    assert cycles == pytest.approx(0.4 / (1 + 1e-6 * ppm), rel=1e-7)
    np.testing.assert_allclose(np.abs(middle), 1, atol=0.02)
    np.testing.assert_allclose(
        applied(Drift(0.0), tone(hz, 3000))[200:-200], tone(hz, 3000)[200:-200], atol=1e-4
    )


@pytest.mark.parametrize("dbc", [-40.0, -20.0])
def test_phase_noise_has_its_power_from_the_first_sample_on(dbc):
    """An Ornstein and Uhlenbeck process: correlation exp(-2 pi corner tau)."""
    still = np.ones(2000, np.complex64)
    phases = np.stack([np.angle(applied(PhaseNoise(dbc), still, seed)) for seed in range(1500)])
    variance = 10 ** (dbc / 10)
    for place in (0, 1000, 1999):
        assert mean_is(phases[:, place] ** 2, variance)
    lag = 100
    assert mean_is(
        phases[:, 500] * phases[:, 500 + lag], variance * math.exp(-2 * np.pi * 1e4 * lag / RATE_HZ)
    )
    np.testing.assert_allclose(np.abs(applied(PhaseNoise(dbc), still)), 1, atol=1e-6)


@pytest.mark.parametrize("level_db", [-3.0, 0.0, 6.0])
def test_amplifiers_keep_phases_and_limit_amplitudes(level_db):
    sent = 5 * complex_normal(20_000, 1.0, rng(16))
    silent = np.concatenate([np.zeros(5000, np.complex64), sent])  # silence is no part of the level
    limit = np.sqrt(np.square(np.abs(sent)).mean()) * 10 ** (level_db / 20)
    size = np.abs(sent)
    clipped, smooth = (applied(kind(level_db), silent)[5000:] for kind in (Clip, Rapp))
    np.testing.assert_allclose(np.abs(clipped), np.minimum(size, limit), rtol=1e-4)
    np.testing.assert_allclose(np.abs(smooth), size / (1 + (size / limit) ** 4) ** 0.25, rtol=1e-4)
    assert np.abs(smooth).max() < limit
    weak = size < limit / 10
    np.testing.assert_allclose(smooth[weak], sent[weak], rtol=1e-4)
    for out in (clipped, smooth):
        np.testing.assert_allclose(np.angle(out * sent.conj()), 0, atol=1e-4)


def test_each_end_has_its_impairments_in_their_order():
    """Amplifiers before the channel, wherever they stand; the rest behind it as they are named."""
    sent = complex_normal(500, 1.0, rng(17))
    channel = parse_channel("rayleigh-slow+cfo:4500+clip:-3+delay:7", 10)
    clip, offset, delay = Clip(-3.0), IMPAIRMENTS["cfo"](4500.0), Delay(7.0)
    expected = parse_channel("rayleigh-slow", 10).pass_samples(applied(clip, sent), RATE_HZ, rng(18))
    for impairment in (offset, delay):
        expected = applied(impairment, expected)
    np.testing.assert_allclose(channel.pass_samples(sent, RATE_HZ, rng(18)), expected, atol=1e-6)
    assert [type(one).name for one in parse_impairments(["cfo:3", "delay:4"])] == ["cfo", "delay"]


@pytest.mark.parametrize(
    "name", ["cfo:500", "delay:3", "delay:2.5", "drift:20", "phase-noise:-30", "clip:3", "rapp:3"]
)
@pytest.mark.parametrize(
    "samples", [np.zeros(0, np.complex64), np.zeros(300, np.complex64)], ids=["none", "silence"]
)
def test_impairments_of_nothing(name, samples):
    (impairment,) = parse_impairments([name])
    assert not applied(impairment, samples).any()


def test_what_is_clipped_is_less_than_was_sent_and_told_by_no_one():
    """An amplifier adds what the receiver takes for noise of the symbols."""
    symbols = complex_normal(4000, 1.0, rng(19))
    left = {}
    for name in ("awgn", "awgn+clip:3"):
        received = parse_link(name, 40, "estimated", OFDM().name)(symbols, rng(20))
        left[name] = np.mean(np.abs(received.symbols / received.estimate - symbols) ** 2)
    assert left["awgn+clip:3"] > 20 * left["awgn"]
