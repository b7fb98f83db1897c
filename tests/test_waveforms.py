"""OFDM's frames against arithmetic, theory and Sionna: what they cost, what is sent, what pilots tell.
Statistical bounds are those of `signals`."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from signals import mean_is, qpsk, uncorrelated

from jscc_sim.channels import Fading, complex_normal
from jscc_sim.errors import InputError
from jscc_sim.waveforms import OFDM, csi_with, estimation, parse_link, parse_waveform
from jscc_sim.waveforms.estimation import MOST_ROWS, linear_mmse, straight_lines
from jscc_sim.waveforms.reception import spectra
from jscc_sim.waveforms.resource_grid import FINE_LENGTHS, LENGTHS, PREAMBLE_ROWS, SIGNAL, rows_of

SHAPES = {
    "usual": OFDM(),
    "small": OFDM(64, 16, pilots=(2, 3), guard=8),
    "wide guard": OFDM(128, 9, 30e3, (3, 2), 60),
    "few pilots": OFDM(256, 4, pilots=(8, 20)),
    "all carriers": OFDM(512, 36, pilots=(1, 5), guard=63),
    "odd steps": OFDM(1024, 72, 7500.0, (7, 6), 333),
}
SMALL = SHAPES["small"]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def waveform(request):
    return request.param


# --- what a frame costs ---------------------------------------------------------------------------


def some_budgets(waveform):
    """About the shortest frames, about the longest that is exactly told, and far more than any frame."""
    least, fine = waveform.air_time(1).uses, waveform._uses(FINE_LENGTHS)
    edges = [edge + off for edge in (least, 2 * least, fine) for off in (-1, 0, 1)]
    return [0, 1, *edges, *rng(1).integers(least, 40 * fine, 20).tolist(), 10**12]


def test_room_and_cost_agree(waveform):
    before = 0
    for budget in sorted(some_budgets(waveform)):
        room = waveform.room(budget)
        assert room >= before
        before = room
        if room == 0:
            assert budget < waveform.air_time(1).uses
            continue
        air = waveform.air_time(room)
        assert (air.data, air.uses <= budget, waveform.room(air.uses)) == (room, True, room)
        if room < waveform.symbols_in(rows_of(LENGTHS - 1)):
            assert waveform.air_time(room + 1).uses > budget
        for symbols in (1, room // 3 + 1, room - 1):
            assert waveform.air_time(symbols).uses <= air.uses
            assert waveform.room(waveform.air_time(symbols).uses) >= symbols


@pytest.mark.parametrize("symbols", [1, 500, 5001])
def test_a_frame_costs_its_band_times_its_duration(waveform, symbols):
    """The band from the lowest carrier to the highest, the empty one between them counted."""
    air, sent = waveform.air_time(symbols), waveform.modulate(qpsk(symbols))
    band = Fraction(waveform.carriers.max() - waveform.carriers.min() + 1) * Fraction(waveform.spacing)
    exact = band * len(sent) / Fraction(waveform.rate_hz)
    assert 0 <= air.uses - exact < 1
    assert air.data + air.pilots + air.prefix + air.preamble == air.uses
    assert symbols <= air.data
    rows = len(sent) // (waveform.fft + waveform.cp)
    nothing = exact - rows * waveform.active  # what takes time or bandwidth, and is no carrier of the body
    assert 0 <= air.prefix - nothing < 1
    overhead = 1 - Fraction(waveform.active, waveform.active + 1) / (1 + Fraction(waveform.cp, waveform.fft))
    assert abs(Fraction(air.prefix, air.uses) - overhead) <= Fraction(1, air.uses)
    assert air.preamble == PREAMBLE_ROWS * waveform.active + SIGNAL
    with_pilots = -(-(rows - PREAMBLE_ROWS - 1) // waveform.pilots[1]) + 1
    assert air.pilots == with_pilots * len(waveform.pilot_carriers)


def test_lengths_are_told_exactly_and_then_by_ever_larger_steps():
    lengths = [rows_of(code) for code in range(LENGTHS)]
    assert lengths[: FINE_LENGTHS + 1] == list(range(FINE_LENGTHS + 1))
    steps = np.diff(lengths)
    assert (steps > 0).all()
    assert (steps[FINE_LENGTHS:] / lengths[FINE_LENGTHS:-1] <= 2 / FINE_LENGTHS).all()
    whole = OFDM().symbols_in(lengths[-1])
    assert OFDM().rows_for(whole) == lengths[-1]
    with pytest.raises(InputError, match=f"{whole + 1} symbols are more than the {whole} of the longest"):
        OFDM().rows_for(whole + 1)


# --- what is sent ---------------------------------------------------------------------------------


def test_every_place_carries_one_thing(waveform):
    rows = waveform.rows_for(2000)
    pilots = np.zeros((rows, waveform.active), bool)
    for row in {*range(0, rows, waveform.pilots[1]), rows - 1}:
        for carrier in {*range(0, waveform.active, waveform.pilots[0]), waveform.active - 1}:
            pilots[row, carrier] = True
    places = [np.flatnonzero(pilots), waveform.signal_places, waveform.data_places(rows)]
    np.testing.assert_array_equal(np.sort(np.concatenate(places)), np.arange(rows * waveform.active))
    assert len(places[1]) == SIGNAL
    assert len(places[2]) == waveform.symbols_in(rows)
    carriers = waveform.carriers
    assert (0 not in carriers, len(np.unique(carriers)), (carriers == -carriers[::-1]).all()) == (
        True,
        waveform.active,
        True,
    )
    in_band = np.unique(np.append(carriers % waveform.fft, 0))
    np.testing.assert_array_equal(np.setdiff1d(np.arange(waveform.fft), in_band), waveform.empty)
    assert waveform.guard <= len(waveform.empty) <= waveform.guard + 1


def test_carriers_hold_the_symbols_at_unit_power(waveform):
    symbols = (complex_normal(3000, 1.0, rng())).astype(np.complex64)
    sent = waveform.modulate(symbols)
    rows = waveform.rows_for(len(symbols))
    assert sent.dtype == np.complex64
    assert len(sent) == (PREAMBLE_ROWS + rows) * waveform.row_samples
    parts = sent.reshape(-1, waveform.row_samples)
    np.testing.assert_array_equal(parts[:, : waveform.cp], parts[:, -waveform.cp :])
    grid = spectra(waveform, sent)
    body = grid[PREAMBLE_ROWS:, waveform.carriers].reshape(-1)
    padded = np.append(symbols, np.zeros(waveform.symbols_in(rows) - len(symbols)))
    np.testing.assert_allclose(body[waveform.data_places(rows)], padded, atol=1e-5)
    np.testing.assert_allclose(grid[:, [0, *waveform.empty]], 0, atol=1e-5)
    np.testing.assert_allclose(np.abs(body[waveform.signal_places]), 1, atol=1e-5)
    pilots = grid[PREAMBLE_ROWS:, waveform.carriers][
        np.ix_(waveform.pilot_rows(rows), waveform.pilot_carriers)
    ]
    np.testing.assert_allclose(np.abs(pilots), 1, atol=1e-5)
    power = np.square(np.abs(grid[:PREAMBLE_ROWS])).sum(axis=1)
    np.testing.assert_allclose(power, waveform.active, rtol=1e-5)


def test_the_first_row_is_four_times_the_same(waveform):
    first, second = waveform.modulate(qpsk(1)).reshape(-1, waveform.row_samples)[:PREAMBLE_ROWS]
    for row, same in ((first, True), (second, False)):
        quarters = row[waveform.cp :].reshape(4, -1)
        assert np.allclose(quarters[1:], quarters[:1], atol=1e-5) == same


def test_sionnas_modulator_makes_the_same_samples(one_thread, waveform):
    import torch
    from sionna.phy.ofdm import OFDMModulator, ResourceGrid

    symbols = complex_normal(900, 1.0, rng(3))
    rows = waveform._rows(symbols)
    half = waveform.active // 2
    guards = (waveform.fft // 2 - half, waveform.fft // 2 - half - 1)
    theirs = ResourceGrid(
        len(rows), waveform.fft, waveform.spacing, num_guard_carriers=guards, dc_null=True, device="cpu"
    )
    np.testing.assert_array_equal(
        np.array(theirs.effective_subcarrier_ind), waveform.carriers + waveform.fft // 2
    )
    grid = np.zeros((len(rows), waveform.fft), np.complex64)
    grid[:, np.array(theirs.effective_subcarrier_ind)] = rows
    samples = OFDMModulator(waveform.cp, device="cpu")(torch.from_numpy(grid)[None]).numpy().reshape(-1)
    np.testing.assert_allclose(waveform.modulate(symbols), samples, atol=2e-5)


def test_peaks_are_looked_for_between_the_samples(waveform):
    """Each row of the body as the sum that it is, four times as often as there are samples."""
    symbols = complex_normal(700, 1.0, rng(4))
    rows = waveform._rows(symbols)[PREAMBLE_ROWS:].astype(np.complex128)
    times = np.arange(4 * waveform.fft) / (4 * waveform.fft)
    waves = np.exp(2j * np.pi * np.outer(waveform.carriers, times))
    power = np.square(np.abs(rows @ waves))
    expected = 10 * math.log10(power.max() / power.mean())
    assert waveform.papr_db(symbols) == pytest.approx(expected, abs=1e-4)
    sent = waveform.modulate(symbols)[PREAMBLE_ROWS * waveform.row_samples :]
    level = np.square(np.abs(sent.reshape(-1, waveform.row_samples)[:, waveform.cp :]))
    at_samples = 10 * math.log10(level.max() / level.mean())
    assert at_samples - 1e-4 <= waveform.papr_db(symbols) <= at_samples + 3


def test_the_same_symbols_make_the_same_samples(waveform):
    again = parse_waveform(waveform.name)
    np.testing.assert_array_equal(waveform.modulate(qpsk(400)), again.modulate(qpsk(400)))


# --- perfect knowledge ----------------------------------------------------------------------------

MANY = qpsk(60_000)


def test_what_arrives_over_white_noise_is_the_symbols_in_white_noise(waveform):
    received = parse_link("awgn", 7, "perfect", waveform.name)(MANY, rng(5))
    noise, variance = received.symbols - MANY, 10**-0.7
    np.testing.assert_array_equal(received.estimate, 1)
    np.testing.assert_allclose(received.noise_variance, variance)
    assert mean_is(np.abs(noise) ** 2, variance)
    assert mean_is(noise.real**2, variance / 2)
    assert uncorrelated(noise, np.conj(noise))
    assert uncorrelated(noise, MANY)
    for apart in (1, 2, waveform.active):
        assert uncorrelated(noise[apart:], noise[:-apart])
    assert stats.kstest(noise.real[:20_000] * math.sqrt(2 / variance), "norm").pvalue > 1e-4


def test_a_flat_fade_is_that_of_symbols():
    symbols = qpsk(500)
    over = parse_link("rayleigh-slow", 60, "perfect", "ofdm")(symbols, rng(6))
    fade = Fading(60)(symbols, rng(6)).estimate[0]
    np.testing.assert_allclose(over.estimate, fade, rtol=1e-6)
    np.testing.assert_allclose(over.symbols, fade * symbols, atol=0.01)


@pytest.mark.parametrize(
    "impaired", ["cfo:28500", "delay:137", "delay:2.5", "cfo:28500+delay:2.5", "delay:2.5+cfo:28500"]
)
def test_perfect_knowledge_is_of_offset_and_delay(impaired):
    """What is left of a delay by half a sample is what rows of OFDM leak into each other: -35 dB."""
    symbols = qpsk(8000)
    received = parse_link(f"awgn+{impaired}", 50, "perfect", "ofdm")(symbols, rng(7))
    left = np.abs(received.symbols - received.estimate * symbols) ** 2
    assert left.mean() < (4e-4 if "2.5" in impaired else 1.2e-5)


# --- estimates ------------------------------------------------------------------------------------


def pilots_of(gain, waveform, rows, noise, generator):
    """Least-squares estimates where a grid [rows, active] has pilots."""
    known = gain[np.ix_(rows, waveform.pilot_carriers)]
    return known + complex_normal(known.size, noise, generator).reshape(known.shape)


def smooth(waveform, rows, delays, shifts, generator):
    """[rows, active] gains of a path for each delay in samples and Doppler shift in cycles a row."""
    count = len(delays)
    size = complex_normal(count, 1 / count, generator).astype(np.complex128)
    over = np.exp(-2j * np.pi * np.outer(delays, waveform.carriers) / waveform.fft)
    return (size * np.exp(2j * np.pi * np.outer(rows, shifts))) @ over


def test_straight_lines_are_sionnas(one_thread):
    import torch
    from sionna.phy.ofdm import LSChannelEstimator, PilotPattern, ResourceGrid

    waveform, rows = OFDM(pilots=(4, 7)), 22
    half, at = waveform.active // 2, waveform.pilot_rows(rows)
    mask = np.zeros((rows, waveform.active), bool)
    mask[np.ix_(at, waveform.pilot_carriers)] = True
    sent = np.tile(waveform.pilot_symbols, len(at))
    pattern = PilotPattern(mask[None, None], sent[None, None], device="cpu", precision="double")
    guards = (waveform.fft // 2 - half, waveform.fft // 2 - half - 1)
    theirs = ResourceGrid(
        rows,
        waveform.fft,
        waveform.spacing,
        num_guard_carriers=guards,
        dc_null=True,
        pilot_pattern=pattern,
        device="cpu",
        precision="double",
    )
    gain = smooth(waveform, np.arange(rows), [3.0, 5.5, 9.0], [0.01, -0.02, 0.0], rng(8))
    known = pilots_of(gain, waveform, at, 0.1, rng(9))
    heard = np.zeros((rows, waveform.fft), np.complex128)
    where = waveform.carriers[waveform.pilot_carriers] + waveform.fft // 2
    heard[np.ix_(at, where)] = known * waveform.pilot_symbols
    estimator = LSChannelEstimator(theirs, "lin", device="cpu", precision="double")
    found, _ = estimator(torch.from_numpy(heard)[None, None, None], torch.tensor(0.1, dtype=torch.float64))
    ours = straight_lines(waveform, known, at, 0.1)
    np.testing.assert_allclose(ours.gain, found.numpy().reshape(rows, waveform.active), atol=1e-6)


@pytest.mark.parametrize("shape", ["usual", "small", "few pilots"])
def test_least_squares_errors_are_those_of_theory(shape):
    """At a pilot the noise's variance; between two of them, a share t of the way, (t^2 + (1 - t)^2) of it;
    along both axes the product."""
    waveform = SHAPES[shape]
    rows, noise, draws = 2 * waveform.pilots[1] + 1, 0.3, 1500
    at, generator = waveform.pilot_rows(rows), rng(10)
    flat = np.ones((rows, waveform.active), np.complex128)
    found = [
        straight_lines(waveform, pilots_of(flat, waveform, at, noise, generator), at, noise)
        for _ in range(draws)
    ]

    def share(place, step):
        t = place % step / step
        return t**2 + (1 - t) ** 2

    places = [
        (row, carrier) for row in (0, 1, waveform.pilots[1]) for carrier in (0, 1, waveform.pilots[0] // 2)
    ]
    for row, carrier in places:
        theory = noise * share(row, waveform.pilots[1]) * share(carrier, waveform.pilots[0])
        assert found[0].error[row, carrier] == pytest.approx(theory)
        assert mean_is(np.array([np.abs(one.gain[row, carrier] - 1) ** 2 for one in found]), theory)


SPREAD, DOPPLER, LEAN = 0.1, 0.01, 0.6


@pytest.fixture
def told(monkeypatch):
    """An estimator that knows delay spread and Doppler shifts of its channel."""
    for name, value in {"SPREADS": SPREAD, "DOPPLERS": DOPPLER, "LEANS": LEAN}.items():
        monkeypatch.setattr(estimation, name, (value,))


def of_the_prior(waveform, rows, generator):
    """A channel as linear MMSE supposes it: echoes that fall exponentially behind a first path that may be
    early or late, shifts of any size in a band about a middle."""
    first, slack = estimation.early(waveform), estimation.TIMING_SLACK
    delays = generator.uniform(first - slack, first + slack, 400) + generator.exponential(
        SPREAD * waveform.cp, 400
    )
    shifts = DOPPLER * generator.uniform(LEAN - 1, LEAN + 1, 400)
    return smooth(waveform, np.arange(rows), delays, shifts, generator)


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.003])
def test_linear_mmse_knows_how_wrong_it_is_and_is_less_so_than_straight_lines(told, noise):
    waveform, rows, generator, at = OFDM(), 29, rng(11), OFDM().pilot_rows(29)
    true, said, straight = [], [], []
    for _ in range(120):
        gain = of_the_prior(waveform, rows, generator)
        known = pilots_of(gain, waveform, at, noise, generator)
        found = linear_mmse(waveform, known, at, noise)
        true.append(np.square(np.abs(found.gain - gain)).mean())
        said.append(found.error.mean())
        straight.append(np.square(np.abs(straight_lines(waveform, known, at, noise).gain - gain)).mean())
    true, said, straight = map(np.array, (true, said, straight))
    assert mean_is(true - said, 0)
    assert said.std() / math.sqrt(len(said)) < 0.05 * said.mean()  # what the line above can see
    assert true.mean() < 0.5 * straight.mean()


@pytest.mark.parametrize("first", [0, -1])
def test_linear_mmse_is_the_formula(told, first):
    """R_hp (R_pp + s I)^-1 y and what it leaves, with matrices of all places."""
    waveform, noise = SMALL, 0.2
    rows = np.append(first, waveform.pilot_rows(8)) if first < 0 else waveform.pilot_rows(8)
    shape = (len(rows), len(waveform.pilot_carriers))
    known = complex_normal(math.prod(shape), 1.2, rng(12)).reshape(shape).astype(np.complex128)
    power = np.square(np.abs(known)).mean() - noise
    even, fall = np.linspace(-1, 1, 8001), np.linspace(0, 20, 8001)

    def along(apart):
        return mean_turn(apart, DOPPLER * (LEAN + even), np.ones(8001))

    def over(apart):
        first = estimation.early(waveform) + estimation.TIMING_SLACK * even
        behind = mean_turn(-apart / waveform.fft, SPREAD * waveform.cp * fall, np.exp(-fall))
        return mean_turn(-apart / waveform.fft, first, np.ones(8001)) * behind

    def mean_turn(apart, values, weights):
        some, which = np.unique(apart, return_inverse=True)
        turns = weights * np.exp(2j * np.pi * np.outer(some, values))
        mean = np.trapezoid(turns, axis=1) / np.trapezoid(weights)
        return mean[which.reshape(apart.shape)]

    carriers = waveform.carriers.astype(float)
    some = carriers[waveform.pilot_carriers]
    to_pilots = np.kron(along(np.arange(8)[:, None] - rows), over(carriers[:, None] - some))
    pilots = np.kron(along(rows[:, None] - rows), over(some[:, None] - some))
    weights = power * to_pilots @ np.linalg.inv(power * pilots + noise * np.eye(len(pilots)))
    left = power - (weights * (power * to_pilots).conj()).sum(axis=1).real
    found = linear_mmse(waveform, known, rows, noise)
    np.testing.assert_allclose(found.gain.reshape(-1), weights @ known.reshape(-1), atol=1e-4)
    np.testing.assert_allclose(found.error.reshape(-1), left, atol=1e-4)


def test_a_long_frame_is_estimated_in_parts():
    """The rows at a seam are told to be known as well as they are."""
    waveform, noise, generator = OFDM(pilots=(4, 3)), 0.1, rng(13)
    rows = 3 * (2 * MOST_ROWS + 9) + 2
    at = np.append(-1, waveform.pilot_rows(rows))
    assert len(at) > 2 * MOST_ROWS
    true, said = [], []
    for _ in range(12):
        gain = of_the_prior(waveform, rows + 1, generator)
        known = pilots_of(gain, waveform, at + 1, noise, generator)
        found = linear_mmse(waveform, known, at, noise)
        assert found.gain.shape == found.error.shape == (rows, waveform.active)
        true.append(np.square(np.abs(found.gain - gain[1:])).mean(axis=1))
        said.append(found.error.mean(axis=1))
    ratio = np.mean(true, axis=0) / np.mean(said, axis=0)
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    assert ratio.max() < 2
    alone = linear_mmse(waveform, known[:MOST_ROWS], at[:MOST_ROWS], noise)
    until = at[MOST_ROWS - 1]
    np.testing.assert_array_equal(found.gain[:until], alone.gain[:until])


# --- names ----------------------------------------------------------------------------------------


def test_names_make_the_same_waveform(waveform):
    assert parse_waveform(waveform.name) == waveform
    assert parse_waveform("ofdm") == parse_waveform("ofdm:") == OFDM()
    assert parse_waveform("ofdm:pilots=2x3,fft=128") == OFDM(fft=128, pilots=(2, 3))
    assert parse_waveform("symbols") is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "waveform '' is neither of symbols, ofdm"),
        ("OFDM", "waveform 'OFDM' is neither"),
        ("symbols:fft=64", "is neither of"),
        ("ofdm:64", "'64' is none of fft=, cp=, spacing=, pilots=FxT, guard="),
        ("ofdm:ftt=64", "'ftt=64' is none of"),
        ("ofdm:fft=64,fft=64", "fft is there twice"),
        ("ofdm:fft=many", "'many' is no fft"),
        ("ofdm:fft=256.0", "'256.0' is no fft"),
        ("ofdm:pilots=4", "'4' is no pilots"),
        ("ofdm:pilots=4x7x2", "'4x7x2' is no pilots"),
        ("ofdm:fft=100", "fft of 100 is no power of 2 from 64 to 8192"),
        ("ofdm:fft=32", "fft of 32 is no power of 2"),
        ("ofdm:fft=16384", "fft of 16384 is no power of 2"),
        ("ofdm:cp=3", "cp of 3 is outside 4 to 64"),
        ("ofdm:cp=65", "cp of 65 is outside 4 to 64"),
        ("ofdm:guard=7", "guard of 7 is outside 8 to 224"),
        ("ofdm:guard=225", "guard of 225 is outside 8 to 224"),
        ("ofdm:spacing=0", "spacing of 0 is outside 1 to 1e+07"),
        ("ofdm:spacing=nan", "spacing of nan is outside"),
        ("ofdm:spacing=1e9", "spacing of 1e+09 is outside"),
        ("ofdm:pilots=0x7", "carriers between pilots of 0 is outside 1 to 256"),
        ("ofdm:pilots=4x0", "rows between pilots of 0 is outside 1 to"),
        ("ofdm:pilots=1x1", "leave 0 data places in the 2 rows of the shortest frame, and"),
        ("ofdm:fft=64,cp=8,guard=32,pilots=1x3", "leave 60 data places"),
    ],
)  # fmt: skip
def test_what_is_no_waveform(name, words):
    with pytest.raises(InputError) as error:
        parse_waveform(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_receiver_can_know():
    assert [csi_with("ofdm", csi) for csi in ("", "estimated", "estimated:lmmse")] == ["estimated"] * 3
    assert [csi_with("ofdm", csi) for csi in ("estimated:ls", "perfect")] == ["estimated:ls", "perfect"]
    assert [csi_with("symbols", csi) for csi in ("", "noisy:20")] == ["perfect", "noisy:20"]
    for csi in ("noisy:20", "perfect:ls", "perfect:", "estimated:", "estimated:mmse", "good"):
        with pytest.raises(InputError, match=f"CSI '{csi}' is n.* estimated, estimated:ls .* perfect"):
            csi_with("ofdm", csi)
    with pytest.raises(InputError, match="from the pilots of --waveform ofdm: symbols have none"):
        csi_with("symbols", "estimated:ls")
