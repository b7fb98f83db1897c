"""The channel in torch against the one in NumPy and against theory. Statistical bounds are 4.5 standard
errors: a right channel would miss one in 100 000 seeds, and the seeds are fixed."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from jscc_sim.channels import AWGN, EQUALISERS, Equalised, Fading, Received
from jscc_sim.channels import equalise as equalise_arrays
from jscc_sim.errors import InputError
from jscc_sim.nn.channel import EqualisedBatch, ReceivedBatch, disturb, equalise, send, transmit, unit_power

FRAMES, USES = 40, 2500
Z = 4.5
TURNS = torch.from_numpy(np.random.default_rng(9).integers(0, 4, (FRAMES, USES)))
QPSK = torch.tensor([1, 1j, -1, -1j])[TURNS]
K_FACTORS = (0.0, 1.0, 8.0)
EVERY = [
    AWGN(7),
    *(Fading(7, k, c, csi) for k in (0, 4) for c in (None, 64, 1) for csi in (None, 15)),
    Fading(7, 2, 1, real=True),
]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def mean_is(values, expected):
    """Whether the mean of independent values agrees with what is expected of it."""
    values = values.double()
    return abs(values.mean().item() - expected) <= Z * values.std().item() / math.sqrt(values.numel())


def uncorrelated(a, b):
    """Whether two zero-mean complex samples are."""
    product = a * b.conj()
    return mean_is(product.real, 0) and mean_is(product.imag, 0)


@pytest.mark.parametrize("snr_db", [-10, 0, 13])
def test_noise_is_circular_white_and_as_strong_as_announced(snr_db):
    received = disturb(QPSK, AWGN(snr_db), draws())
    noise = received.symbols - QPSK
    assert received.estimate is None
    assert received.noise_variance.numpy() == pytest.approx(np.full((FRAMES, 1), 10 ** (-snr_db / 10)))
    assert mean_is(noise.abs() ** 2, 10 ** (-snr_db / 10))
    assert mean_is(noise.real**2, 10 ** (-snr_db / 10) / 2)
    assert uncorrelated(noise, noise.conj())
    assert uncorrelated(noise, QPSK)
    assert uncorrelated(noise[:, 1:], noise[:, :-1])
    assert uncorrelated(noise[1:], noise[:-1])


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_announced_as_by_the_channel_in_numpy(channel):
    """The noise variance, whether there is an estimate, and how many fades a frame of each meets."""
    there = channel(np.ones(1000, np.complex64), np.random.default_rng(1))
    here = disturb(torch.ones(2, 1000, dtype=torch.complex64), channel, draws())
    assert here.noise_variance.tolist() == [[pytest.approx(there.noise_variance)]] * 2
    assert (here.estimate is None) == (there.estimate is None)
    if there.estimate is not None:
        changes = np.diff(there.estimate) != 0
        for frame in here.estimate:
            np.testing.assert_array_equal(np.diff(frame.numpy()) != 0, changes)
        assert here.estimate[0, 0] != here.estimate[1, 0]


@pytest.mark.parametrize("k_factor", K_FACTORS)
def test_fading_is_rician_with_unit_mean_power(k_factor):
    h = disturb(QPSK, Fading(0, k_factor, 1), draws()).estimate
    fixed = math.sqrt(k_factor / (1 + k_factor))
    assert mean_is(h.abs() ** 2, 1)
    assert mean_is(h.real, fixed)
    assert mean_is(h.imag, 0)
    assert uncorrelated(h - fixed, (h - fixed).conj())
    assert uncorrelated(h[:, 1:] - fixed, h[:, :-1] - fixed)


@pytest.mark.parametrize("k_factor", K_FACTORS)
@pytest.mark.parametrize("csi_db", [None, 0, 15])
def test_received_is_estimate_times_sent_and_noise_as_announced(k_factor, csi_db):
    received = disturb(QPSK, Fading(5, k_factor, 1, csi_db), draws())
    left = received.symbols - received.estimate * QPSK
    assert mean_is(left.abs() ** 2, received.noise_variance[0].item())
    assert uncorrelated(left, received.estimate - math.sqrt(k_factor / (1 + k_factor)))


@pytest.mark.parametrize("k_factor", K_FACTORS)
@pytest.mark.parametrize("equaliser", ["zf", "mmse"])
def test_effective_snrs_are_those_that_are_planned_for(k_factor, equaliser):
    channel = Fading(9, k_factor, 1, 12)
    heard = transmit(QPSK, channel, draws(1), equaliser=equaliser)
    snr_db = -10 * torch.log10(heard.unbiased_variance)
    for i, planned in enumerate(channel.effective_snrs_db()):
        assert mean_is((snr_db < planned).float(), (i + 0.5) / 16)


@pytest.mark.parametrize(
    ("channel", "equaliser"),
    [(AWGN(5), "none"), *((Fading(5, k, 1), name) for k in K_FACTORS for name in ("zf", "mmse"))],
    ids=str,
)
def test_symbols_are_gain_times_sent_and_noise_as_stated(channel, equaliser):
    heard = transmit(QPSK, channel, draws(2), equaliser=equaliser)
    white = (heard.symbols - heard.gain * QPSK) / heard.noise_variance.sqrt()
    assert mean_is(white.abs() ** 2, 1)
    assert mean_is(white.real**2, 0.5)
    assert uncorrelated(white, QPSK)
    unbiased = (heard.unbiased - QPSK) / heard.unbiased_variance.sqrt()
    assert torch.allclose(unbiased, white, atol=1e-3)


def test_real_fading_multiplies_by_the_magnitude_and_tells_nothing():
    channel = Fading(60, 2, 1, real=True)
    received = disturb(QPSK, channel, draws())
    magnitude = (received.symbols / QPSK).real
    assert received.estimate is None
    assert (
        magnitude - disturb(QPSK, replace(channel, real=False), draws()).estimate.abs()
    ).abs().max() < 0.02
    assert mean_is(magnitude**2, 1)


@pytest.mark.parametrize("method", EQUALISERS)
@pytest.mark.parametrize("channel", [AWGN(5), Fading(5, 1, 16, 10)], ids=str)
def test_equalised_as_in_numpy(channel, method):
    received = channel(QPSK[0, :99].numpy(), np.random.default_rng(3))
    expected = equalise_arrays(received, method)
    estimate = None if received.estimate is None else torch.from_numpy(received.estimate)[None]
    variance = torch.tensor([[received.noise_variance]])
    found = equalise(ReceivedBatch(torch.from_numpy(received.symbols)[None], variance, estimate), method)
    for name in ("symbols", "gain", "noise_variance", "unbiased_variance"):
        np.testing.assert_allclose(getattr(found, name)[0], getattr(expected, name), rtol=1e-5)


@pytest.mark.parametrize("method", ["zf", "mmse"])
def test_a_fade_to_nothing_stays_finite(method):
    h = torch.tensor([[0, 1e-30, 1e-5j, 1]])
    sent = QPSK[:1, :4].clone().requires_grad_()
    heard = equalise(ReceivedBatch(sent * h, torch.tensor([[0.1]]), h), method)
    values = heard.symbols, heard.gain, heard.noise_variance, heard.unbiased, heard.unbiased_variance
    heard.unbiased.abs().square().sum().backward()
    assert all(
        torch.isfinite(torch.view_as_real(v) if v.is_complex() else v).all() for v in (*values, sent.grad)
    )


@pytest.mark.parametrize("channel", [AWGN(0), Fading(0, 0, 1, 20)], ids=str)
def test_each_frame_has_its_own_snr(channel):
    snrs_db = torch.linspace(-5, 25, FRAMES)
    received = disturb(QPSK, channel, draws(), snrs_db)
    sent = QPSK if received.estimate is None else received.estimate * QPSK
    for frame, expected, snr_db in zip(
        received.symbols - sent, received.noise_variance, snrs_db, strict=True
    ):
        left = 0 if received.estimate is None else channel.left
        assert expected.item() == pytest.approx(10 ** (-snr_db.item() / 10) + left, rel=1e-5)
        assert mean_is(frame.abs() ** 2, expected.item())


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_the_generator_is_all_that_is_drawn_from(channel):
    torch.manual_seed(1)
    first = transmit(QPSK[:, :99], channel, draws(5)).symbols
    torch.manual_seed(2)
    assert torch.equal(first, transmit(QPSK[:, :99], channel, draws(5)).symbols)
    assert not torch.isclose(first, transmit(QPSK[:, :99], channel, draws(6)).symbols).any()


@pytest.mark.parametrize("channel", EVERY, ids=str)
@pytest.mark.parametrize("equaliser", EQUALISERS)
def test_gradients_reach_the_symbols(channel, equaliser):
    """Against finite differences, in double precision, power and equaliser included."""
    symbols = torch.randn(2, 6, 2, generator=draws(7), dtype=torch.float64, requires_grad=True)

    def heard(symbols):
        return transmit(unit_power(symbols), channel, draws(5), equaliser=equaliser).symbols

    assert heard(symbols).dtype == torch.float64
    assert torch.autograd.gradcheck(heard, (symbols,))


@pytest.mark.parametrize("channel", EVERY, ids=str)
def test_pairs_of_reals_are_complex_symbols(channel):
    pairs = transmit(torch.view_as_real(QPSK[:, :99]), channel, draws(5))
    symbols = transmit(QPSK[:, :99], channel, draws(5))
    assert torch.equal(pairs.symbols, torch.view_as_real(symbols.symbols))
    assert torch.equal(pairs.gain, symbols.gain)
    assert torch.allclose(pairs.unbiased, torch.view_as_real(symbols.unbiased), rtol=1e-5)


def test_half_precision_symbols_are_disturbed_in_single():
    heard = transmit(torch.view_as_real(QPSK[:, :99]).bfloat16(), AWGN(5), draws(5))
    assert heard.symbols.dtype == heard.noise_variance.dtype == torch.float32


@pytest.mark.parametrize("complex_", [False, True])
def test_unit_power_is_of_each_frame(complex_):
    symbols = torch.randn(3, 50, 2, generator=draws(1)) * torch.tensor([1e-3, 1.0, 50.0])[:, None, None]
    scaled = unit_power(torch.view_as_complex(symbols) if complex_ else symbols)
    power = scaled.abs().square().sum((1, 2) if scaled.ndim == 3 else 1) / 50
    assert power.tolist() == pytest.approx([1, 1, 1], rel=1e-5)
    assert not unit_power(torch.zeros(2, 5, 2)).any()


@pytest.mark.parametrize("channel", [AWGN(7), Fading(7), Fading(7, 4, 1)], ids=str)
@pytest.mark.parametrize("shape", ["reals", "complex"])
def test_latents_arrive_in_their_order_on_their_scale_with_the_noise_stated(channel, shape):
    scale = torch.tensor([0.01, 1.0, 30.0])[:, None, None, None]
    latents = scale * torch.randn(3, 8, 50, 30, generator=draws(1))
    latents = latents if shape == "reals" else torch.complex(latents, latents.flip(1))
    heard = send(latents, channel, draws(2), torch.tensor([5.0, 10.0, 15.0]))
    assert heard.latents.shape == heard.variance.shape == latents.shape
    for picture in (heard.latents - latents).abs() ** 2 / heard.variance:
        assert mean_is(picture, 1)
    if isinstance(channel, AWGN):
        level = latents.abs().square().mean((1, 2, 3)) / heard.variance[:, 0, 0, 0]
        assert (10 * torch.log10(level)).tolist() == pytest.approx([5, 10, 15], abs=1e-3)


def test_latents_are_interleaved():
    """What shares a fade is spread over the picture."""
    latents = torch.randn(1, 4000, 2, generator=draws(1))
    variance = send(latents, Fading(10, 0, 1000), draws(2)).variance[0, :, 0]
    fades, place = torch.unique(variance, return_inverse=True)
    assert len(fades) == 4
    for first in torch.eye(4)[place].view(4, 1000, 4).mean(1):
        assert (first - 0.25).abs().max() < 0.1


@pytest.mark.parametrize("equaliser", EQUALISERS)
def test_gradients_reach_the_latents(equaliser):
    latents = torch.randn(2, 3, 2, 2, generator=draws(7), dtype=torch.float64, requires_grad=True)
    channel = Fading(7, 4, 3, 15)
    assert torch.autograd.gradcheck(
        lambda x: send(x, channel, draws(5), equaliser=equaliser).latents, (latents,)
    )


def test_an_odd_number_of_reals():
    with pytest.raises(InputError, match=r"latents of shape \[2, 3, 5\]: 15 reals are no pairs"):
        send(torch.zeros(2, 3, 5), AWGN(5), draws())


@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 5, 3), (1, 2, 5, 2)])
def test_symbols_of_another_shape(shape):
    with pytest.raises(InputError, match=r"symbols of shape .* neither \[B, uses\] complex nor"):
        transmit(torch.zeros(shape), AWGN(5), draws())


def test_what_cannot_be_asked_for():
    with pytest.raises(InputError, match="'dfe' is not one of none, zf, mmse"):
        transmit(QPSK[:, :9], AWGN(5), draws(), equaliser="dfe")
    with pytest.raises(InputError, match=r"SNRs of shape \[3\] are not one for each of 40 frames"):
        transmit(QPSK[:, :9], AWGN(5), draws(), torch.zeros(3))


@dataclass(frozen=True)
class Louder(AWGN):
    """Somebody's own channel, which torch knows nothing of."""


def test_a_channel_that_torch_does_not_know():
    with pytest.raises(InputError, match="channel Louder has no form in torch; AWGN and Fading have"):
        transmit(QPSK[:, :9], Louder(5), draws())


def test_the_names_are_those_of_the_channel_in_numpy():
    for here, there in ((ReceivedBatch, Received), (EqualisedBatch, Equalised)):
        assert here.__dataclass_fields__.keys() == there.__dataclass_fields__.keys()
