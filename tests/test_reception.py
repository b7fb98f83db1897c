"""A receiver that knows nothing but samples: what it finds, what it estimates, and what it makes of a
recording without a frame. Statistical bounds are those of `signals`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from signals import STANDARD_ERRORS, mean_is, qpsk

from jscc_sim.channels import complex_normal, parse_channel
from jscc_sim.errors import OutageError
from jscc_sim.recording import levelled
from jscc_sim.units import noise_variance
from jscc_sim.waveforms import OFDM, parse_link, reception, synchronisation
from jscc_sim.waveforms.resource_grid import FINE_LENGTHS, PREAMBLE_ROWS
from jscc_sim.waveforms.synchronisation import MOST_CANDIDATES, find_frames

WAVEFORM = OFDM()
ROW = WAVEFORM.row_samples
COUNT = 4000
SENT = qpsk(COUNT)
SHAPES = {
    "small": OFDM(64, 16, pilots=(2, 3), guard=9),
    "usual": WAVEFORM,
    "few pilots": OFDM(256, 18, pilots=(8, 20)),
    "long prefix": OFDM(256, 64),
    "short prefix": OFDM(256, 4),
    "pilots on all carriers": OFDM(256, 18, pilots=(1, 2)),
    "large": OFDM(1024, 72, pilots=(4, 7), guard=421),
}


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(count, snr_db, seed=1):
    return complex_normal(count, noise_variance(snr_db), rng(seed))


def heard(channel, snr_db, seed, *, symbols=SENT, waveform=WAVEFORM, before=0, behind=64):
    """Samples of a frame over a channel, with noise before and behind."""
    quiet = [np.zeros(count, np.complex64) for count in (before, behind)]
    sent = np.concatenate([quiet[0], waveform.modulate(symbols), quiet[1]])
    arrived = parse_channel(channel, snr_db).pass_samples(sent, waveform.rate_hz, rng(seed))
    return (arrived + noise(len(arrived), snr_db, seed + 1000)).astype(np.complex64)


def left(received, symbols=SENT):
    """[uses] power of what the estimate leaves of what was sent."""
    uses = len(symbols)
    return np.abs(received.symbols[:uses] - received.estimate[:uses] * symbols) ** 2


def reads(received, symbols=SENT):
    """Whether the symbols are those that were sent, but for a few."""
    product = (received.symbols[: len(symbols)] * received.estimate[: len(symbols)].conj()) * symbols.conj()
    return (np.abs(np.angle(product)) < np.pi / 4).mean() > 0.98


# --- frames are found -----------------------------------------------------------------------------


@pytest.mark.parametrize("waveform", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("carriers", [0.0, 0.3, -0.3, 1.9, -1.9])
def test_frames_are_found_wherever_they_are_and_whatever_their_carrier(waveform, carriers):
    """At a whole and at a fractional delay, behind noise, over echoes where the prefix has room for them."""
    symbols = qpsk(1500)
    path = "awgn" if waveform.cp < 16 else "taps:0/0,400/-6"
    hz = carriers * waveform.spacing
    for seed, delay in enumerate((0, 137, 700.5)):
        samples = heard(
            f"{path}+delay:{delay}+cfo:{hz}", 18, seed, symbols=symbols, waveform=waveform, before=300
        )
        try:
            received = waveform.receive(samples)
        except OutageError:
            gain = parse_channel(path, 18).response(np.zeros(1), np.array([1e4]), rng(seed))
            assert np.abs(gain).max() < 0.3  # a deep fade of all, and nothing else
            continue
        assert len(received.symbols) == waveform.room(waveform.air_time(1500).uses)
        assert left(received, symbols).mean() < 0.03
        assert reads(received, symbols) or np.abs(received.estimate).mean() < 0.5


@pytest.mark.parametrize("name", ["tdl-a:100:3", "tdl-c:300:3", "tdl-a:100:30", "tdl-d:100"])
def test_frames_are_found_over_echoes_that_move(name):
    """At 10 dB, with an offset of 0.3 carriers: 40 of 40, and each is told how wrong it is."""
    ratios = []
    for seed in range(40):
        received = WAVEFORM.receive(heard(f"{name}+delay:137+cfo:4500", 10, seed, before=500))
        ratios.append((left(received) / received.noise_variance[:COUNT]).mean())
    assert 0.9 < np.mean(ratios) < 1.12
    assert max(ratios) < 2


@pytest.mark.parametrize("rows", [FINE_LENGTHS - 1, FINE_LENGTHS + 1, 2 * FINE_LENGTHS + 5])
def test_a_long_frame_says_its_rows(rows):
    count = WAVEFORM.symbols_in(rows)
    symbols = qpsk(count)
    assert WAVEFORM.rows_for(count) - rows in (0, 1)
    received = WAVEFORM.receive(heard("tdl-a:100:3+cfo:1000", 12, 5, symbols=symbols))
    assert len(received.symbols) == WAVEFORM.symbols_in(WAVEFORM.rows_for(count))
    ratios = left(received, symbols) / received.noise_variance[:count]
    parts = np.array([part.mean() for part in np.array_split(ratios, 8)])  # to the last row
    assert 0.9 < parts.min() <= parts.max() < 1.2


def test_the_first_of_two_frames_is_read():
    other = -SENT[: COUNT // 2]
    frames = [WAVEFORM.modulate(SENT), WAVEFORM.modulate(other)]
    gap = np.zeros(2345, np.complex64)
    both = np.concatenate([gap, frames[0], gap, frames[1], gap])
    received = WAVEFORM.receive(both + noise(len(both), 15))
    assert left(received).mean() < 0.05
    swapped = np.concatenate([gap, frames[1], gap, frames[0], gap])
    received = WAVEFORM.receive(swapped + noise(len(swapped), 15))
    assert left(received, other).mean() < 0.05
    assert len(received.symbols) < COUNT


def test_a_frame_cut_at_its_front_does_not_hide_the_next():
    frame = WAVEFORM.modulate(SENT)
    samples = np.concatenate(
        [frame[3 * ROW :], np.zeros(999, np.complex64), frame, np.zeros(99, np.complex64)]
    )
    received = WAVEFORM.receive(samples + noise(len(samples), 15))
    assert left(received).mean() < 0.05


# --- what is told is so ---------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [0, 10, 20])
@pytest.mark.parametrize(
    "waveform", [SHAPES["usual"], SHAPES["small"], SHAPES["large"]], ids=["usual", "small", "large"]
)
def test_told_noise_is_that_of_the_air_over_white_noise(waveform, snr_db):
    """|error|^2 over its told variance has a mean of 1, and so it has for the best- and the worst-told
    fifth."""
    found = []
    for seed in range(12):
        received = waveform.receive(heard("awgn+delay:50+cfo:2000", snr_db, seed, waveform=waveform))
        found.append((left(received) / received.noise_variance[:COUNT], received.noise_variance[:COUNT]))
    ratios = np.array([ratio.mean() for ratio, _ in found])
    assert abs(ratios.mean() - 1) < 0.03 + STANDARD_ERRORS * ratios.std(ddof=1) / math.sqrt(len(ratios))
    assert abs(ratios.mean() - 1) < 0.1
    told = np.array([variance.mean() for _, variance in found])
    assert 0.97 < told.mean() / noise_variance(snr_db) < 1.15  # of the air, and of the estimate
    ratio, variance = (np.concatenate(part) for part in zip(*found, strict=True))
    for fifth in np.array_split(np.argsort(variance), 5):
        assert 0.8 < ratio[fifth].mean() < 1.25


@pytest.mark.parametrize("snr_db", [3, 6, 10])
def test_estimates_over_echoes_are_told_as_wrong_as_they_are(snr_db):
    ratios = []
    for seed in range(40):
        received = parse_link("tdl-a:100:3", snr_db, "estimated", "ofdm")(SENT, rng(seed))
        ratios.append((left(received) / received.noise_variance).mean())
    assert abs(np.mean(ratios) - 1) < 0.05


def test_linear_mmse_is_nearer_the_truth_than_straight_lines():
    """In the same 20 frames, and both are told to be about as wrong as they are."""
    errors = {"estimated": [], "estimated:ls": []}
    for csi, found in errors.items():
        for seed in range(20):
            received = parse_link("tdl-a:100:3", 10, csi, "ofdm")(SENT, rng(seed))
            found.append(left(received).mean())
            assert 0.7 < (left(received) / received.noise_variance).mean() < 1.4
    mmse, ls = map(np.array, errors.values())
    assert (mmse < ls).all()
    assert ls.mean() / 0.1 > 1.3
    assert mmse.mean() / 0.1 < 1.1


def test_echoes_at_fractions_of_a_sample_are_no_noise():
    """What rings at half the sample rate is 3 dB above the noise of 30 dB, and is not measured."""
    ratios = []
    for seed in range(30):
        received = parse_link("tdl-a:100", 30, "estimated", "ofdm")(SENT, rng(seed))
        ratios.append((left(received) / received.noise_variance).mean())
    assert 0.75 < np.mean(ratios) < 1.1


def test_what_empty_carriers_hear_is_the_noise():
    """The mean over frames of the least variance that is told, which no estimate adds much to."""
    frames = [parse_link("awgn", 20, "estimated", "ofdm")(SENT, rng(seed)) for seed in range(30)]
    told = np.array([received.noise_variance.min() for received in frames])
    assert told.mean() / 0.01 == pytest.approx(1.01, abs=0.02)


# --- recordings that are odd ----------------------------------------------------------------------


@pytest.mark.parametrize("gain", [1e-3, 1e3, -1j])
def test_a_recordings_gain_does_not_matter(gain):
    samples = heard("tdl-a:100:3+delay:37.5", 12, 3)
    usual, scaled = WAVEFORM.receive(samples), WAVEFORM.receive((gain * samples).astype(np.complex64))
    np.testing.assert_allclose(scaled.symbols, gain * usual.symbols, atol=2e-4 * abs(gain))
    np.testing.assert_allclose(scaled.estimate, gain * usual.estimate, atol=2e-4 * abs(gain))
    np.testing.assert_allclose(scaled.noise_variance, abs(gain) ** 2 * usual.noise_variance, rtol=1e-3)


@pytest.mark.parametrize("carriers", [0.0, 0.3])
def test_a_constant_beside_the_samples_does_no_harm(carriers):
    """As of a receiver of direct conversion: half of what is sent, where no carrier is."""
    samples = heard(f"awgn+delay:300+cfo:{carriers * WAVEFORM.spacing}", 15, 4)
    received = WAVEFORM.receive(samples + np.complex64(0.1))
    assert reads(received)
    assert left(received).mean() < 2.5 * noise_variance(15)


def frame_in_noise(seed=6):
    return heard("awgn", 15, seed, before=1000, behind=1000)


WHOLE = frame_in_noise()
ENDS = 1000 + len(WAVEFORM.modulate(SENT))
ROWS = PREAMBLE_ROWS + WAVEFORM.rows_for(COUNT)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (WHOLE[:0], "no whole frame found in 0 samples"),
        (WHOLE[:1], "no whole frame found in 1 samples"),
        (WHOLE[: ROW - 20], "no whole frame found in 254 samples"),
        (WHOLE[: 1000 + ROW], "no whole frame found in 1274 samples"),
        (WHOLE[: 1000 + 2 * ROW - 50], "no whole frame found in"),
        (WHOLE[: 1000 + 5 * ROW], "no whole frame found in"),
        (WHOLE[: ENDS - 3 * ROW], f"samples of one of {ROWS} OFDM symbols are missing"),
        (WHOLE[: ENDS - 60], "samples of one of"),
        (WHOLE[1000 + ROW + 30 :], "no whole frame found in"),
        (WHOLE[ENDS:], "no whole frame found in"),
        (noise(50_000, 0), "no whole frame found in 50000 samples"),
        (np.zeros(50_000, np.complex64), "no whole frame found in 50000 samples"),
        (np.ones(50_000, np.complex64), "no whole frame found in 50000 samples"),
        (np.exp(2j * np.pi * 0.01 * np.arange(50_000)).astype(np.complex64), "no whole frame found in"),
    ],
    ids=[
        *("empty", "one sample", "less than a row", "cut in the first row", "cut in the second row"),
        *("cut in the shortest body", "cut in the body", "cut in the last row", "its beginning missing"),
        *("behind the frame", "noise", "silence", "a constant", "a tone"),
    ],
)  # fmt: skip
def test_a_recording_without_a_whole_frame_is_an_outage(samples, words):
    with pytest.raises(OutageError) as error:
        WAVEFORM.receive(samples)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_frame_may_end_with_the_recording():
    received = WAVEFORM.receive(WHOLE[:ENDS])
    assert left(received).mean() < 1.2 * noise_variance(15)


def test_a_frame_of_another_waveform_is_an_outage():
    with pytest.raises(OutageError):
        OFDM(128, 9).receive(WHOLE)


def test_millions_of_samples_of_noise_cost_a_bounded_search(monkeypatch):
    """However many places look a little alike, the likeliest few are looked at."""
    looked = []

    def counted(*arguments):
        looked.append(arguments)
        return found(*arguments)

    found = synchronisation._looked_at
    monkeypatch.setattr(synchronisation, "_looked_at", counted)
    told = []
    monkeypatch.setattr(reception, "_rows_told", lambda *arguments: told.append(arguments))
    with pytest.raises(OutageError, match="no whole frame found in 2000000 samples"):
        WAVEFORM.receive(noise(2_000_000, 0, 7))
    assert len(told) <= len(looked) <= MOST_CANDIDATES


def test_a_frame_far_into_a_recording_is_found():
    """Beyond the first stretch that is searched at a time, and across its end."""
    frame = WAVEFORM.modulate(SENT)
    for start in (synchronisation.CHUNK - ROW // 2, synchronisation.CHUNK + 3_000):
        samples = noise(start + len(frame) + 500, 12, 8)
        samples[start : start + len(frame)] += frame
        (first, *_) = find_frames(WAVEFORM, samples)
        assert abs(first.start - start) <= WAVEFORM.cp
        assert left(WAVEFORM.receive(samples)).mean() < 1.2 * noise_variance(12)


def test_noise_is_hardly_ever_taken_for_a_frame():
    """The word that tells the rows has to be ten nats likelier than noise."""
    for seed in range(20):
        with pytest.raises(OutageError):
            WAVEFORM.receive(noise(60_000, 0, 100 + seed))


def test_offsets_are_found_to_a_fiftieth_of_a_carrier():
    """And the first path to a sample; at 10 dB."""
    off = []
    for seed in range(40):
        carriers = rng(seed).uniform(-1.9, 1.9)
        samples = heard(f"awgn+delay:{20 * seed}+cfo:{carriers * WAVEFORM.spacing:.3f}", 10, seed)
        found, _ = reception._first_frame(WAVEFORM, samples)
        off.append(found.cycles * WAVEFORM.fft - carriers)
        assert abs(found.start + synchronisation.early(WAVEFORM) - 20 * seed) <= 1
    assert np.abs(off).max() < 0.02
    assert mean_is(np.array(off), 0)


# --- recordings that are not made of one frame and noise ------------------------------------------


def noisy(samples, seed=0):
    return samples + complex_normal(len(samples), 0.1, rng(seed))


def among_noise(samples, quiet=60_000):
    return noisy(np.pad(samples, quiet))


@pytest.mark.parametrize(
    "beside",
    [lambda n: 2.0, lambda n: 0.4 * np.exp(2j * np.pi * 0.013 * np.arange(n))],
    ids=["a constant", "a tone"],
)
def test_what_repeats_all_along_hides_no_frame(beside):
    heard = among_noise(OFDM().modulate(SENT))
    assert reads(OFDM().receive(levelled((heard + beside(len(heard))).astype(np.complex64))))


@pytest.mark.parametrize("gain", [1e-6, 1e4])
def test_a_recording_may_be_quiet_or_loud(gain):
    assert reads(
        OFDM().receive(levelled((gain * among_noise(OFDM().modulate(SENT), 500)).astype(np.complex64)))
    )


def test_a_frame_that_is_cut_off_is_none_and_the_next_one_is_found():
    symbols = qpsk(6000)
    sent = noisy(OFDM().modulate(symbols))
    cut = sent[: int(0.6 * len(sent))]
    assert reads(OFDM().receive(np.concatenate([cut, sent])), symbols)


@pytest.mark.parametrize("other", [{"pilots": (4, 8)}, {"pilots": (4, 14)}, {"guard": 33}, {"cp": 20}])
def test_a_frame_of_another_waveform_is_none(other):
    with pytest.raises(OutageError, match="no whole frame found"):
        OFDM(**other).receive(among_noise(OFDM().modulate(SENT), 500))
