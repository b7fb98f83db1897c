"""The radio channel for training: batches of frames in torch, through which gradients flow to the symbols.

Statistics and equalisers are those of `jscc_sim.channels`, by its own definitions; only the draws are
torch's. Each sample of a batch is a frame with fading and noise of its own, and an SNR of its own if wanted:

    heard = send(encoder(images), parse_channel("rayleigh-block:64", 10), generator)
    loss = mse_loss(decoder(heard.latents), images)

`send` does to latents what `TorchLink` does to them; `transmit` is the channel and the equaliser alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from jscc_sim.channels import AWGN, LEAST_GAIN, Channel, Fading, check_equaliser, undo
from jscc_sim.errors import InputError
from jscc_sim.units import noise_variance

LEAST_POWER = 1e-12
"""Mean power of symbols that `unit_power` takes for silence."""


@dataclass(frozen=True, eq=False)
class ReceivedBatch:
    """What receivers measure: symbols [B, uses] complex, the noise variance [B, 1] of each frame, and under
    fading the channel estimates [B, uses]."""

    symbols: Tensor
    noise_variance: Tensor
    estimate: Tensor | None = None


@dataclass(frozen=True, eq=False)
class EqualisedBatch:
    """Symbol estimates: symbols = gain * sent + noise of complex variance noise_variance. gain,
    noise_variance: [B, uses] real; symbols: [B, uses] complex, or [B, uses, 2] real if such were sent."""

    symbols: Tensor
    gain: Tensor
    noise_variance: Tensor

    @property
    def unbiased(self) -> Tensor:
        """Sent + noise of complex variance `unbiased_variance`, shaped as the symbols."""
        gain = self.gain.clamp_min(LEAST_GAIN)
        return self.symbols / (gain if self.symbols.is_complex() else gain[..., None])

    @property
    def unbiased_variance(self) -> Tensor:
        """[B, uses] noise variance of `unbiased`."""
        return self.noise_variance / self.gain.clamp_min(LEAST_GAIN) ** 2


@dataclass(frozen=True, eq=False)
class ReceivedLatents:
    """Latents as they arrived, and the variance of the noise in each, of a complex one in both its parts
    together; both in the shape that the latents had."""

    latents: Tensor
    variance: Tensor


def send(
    latents: Tensor,
    channel: Channel,
    generator: torch.Generator,
    snr_db: Tensor | None = None,
    equaliser: str = "mmse",
    unbiased: bool = True,
) -> ReceivedLatents:
    """Latents of pictures over the channel as `systems.torch_link.TorchLink` sends them: each picture's
    brought to unit power and interleaved (here in random order); when they have arrived, in their own order
    and on the encoder's scale again.

    latents: [B, ...] complex, a channel use each, or real, two that follow each other a use; unbiased:
    without the bias that `mmse` leaves; the rest as for `transmit`. Raises InputError as it does, and for an
    odd number of reals.
    """
    flat = latents.flatten(1)
    if not flat.is_complex():
        if flat.shape[1] % 2:
            raise InputError(f"latents of shape {list(latents.shape)}: {flat.shape[1]} reals are no pairs")
        flat = torch.view_as_complex(_single(flat).unflatten(1, (-1, 2)).contiguous())
    gain = power_gain(flat)
    order = torch.randperm(flat.shape[1], generator=generator, device=flat.device)
    heard = transmit((flat * gain)[:, order], channel, generator, snr_db, equaliser)
    found, variance = heard.symbols, heard.noise_variance
    if unbiased:
        found, variance = heard.unbiased, heard.unbiased_variance
    place = order.argsort()
    found, variance = found[:, place] / gain, variance[:, place] / gain**2
    if not latents.is_complex():
        found, variance = torch.view_as_real(found), (variance / 2)[..., None].expand(-1, -1, 2)
    return ReceivedLatents(found.reshape(latents.shape), variance.reshape(latents.shape))


def transmit(
    symbols: Tensor,
    channel: Channel,
    generator: torch.Generator,
    snr_db: Tensor | None = None,
    equaliser: str = "mmse",
) -> EqualisedBatch:
    """Frames over the channel, equalised; differentiable in the symbols.

    symbols: [B, uses] complex or [B, uses, 2] real, of unit mean power per use (see `unit_power`), on any
    device; generator: of that device, all that is drawn comes from it; snr_db: [B] in place of the
    channel's; equaliser: see `jscc_sim.channels.equalise`. Raises InputError for another shape or
    equaliser, or a channel that is neither AWGN nor Fading.
    """
    heard = equalise(disturb(symbols, channel, generator, snr_db), equaliser)
    if symbols.is_complex():
        return heard
    return EqualisedBatch(torch.view_as_real(heard.symbols), heard.gain, heard.noise_variance)


def disturb(
    symbols: Tensor, channel: Channel, generator: torch.Generator, snr_db: Tensor | None = None
) -> ReceivedBatch:
    """The channel alone: see `transmit` and `jscc_sim.channels.Fading`."""
    sent = _complex(symbols)
    count, uses = sent.shape
    if snr_db is None:
        snr_db = torch.tensor([channel.snr_db])
    elif snr_db.shape != (count,):
        raise InputError(f"SNRs of shape {list(snr_db.shape)} are not one for each of {count} frames")
    variance = noise_variance(snr_db.to(sent.device, sent.real.dtype))[:, None].expand(count, 1)
    if type(channel) is AWGN:
        return ReceivedBatch(sent + complex_normal(sent, variance, generator), variance)
    if type(channel) is not Fading:
        raise InputError(f"channel {type(channel).__name__} has no form in torch; AWGN and Fading have")
    span = channel.span(uses)
    fades = sent.new_zeros(count, -(-uses // span))
    h = channel.fixed + complex_normal(fades, channel.scattered, generator)
    estimate, known = h, variance
    if channel.csi_db is not None:
        error = complex_normal(fades, channel.error_variance, generator)
        estimate, known = channel.estimate_of(h + error), variance + channel.left
    noise = complex_normal(sent, variance, generator)

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(span, 1)[:, :uses]

    if channel.real:
        return ReceivedBatch(sent * spread(h.abs()) + noise, variance)
    return ReceivedBatch(sent * spread(h) + noise, known, spread(estimate))


def equalise(received: ReceivedBatch, method: str = "mmse") -> EqualisedBatch:
    """See `jscc_sim.channels.equalise`."""
    check_equaliser(method)
    variance = received.noise_variance.expand(received.symbols.shape)
    if received.estimate is None or method == "none":
        return EqualisedBatch(received.symbols, torch.ones_like(variance), variance)
    return EqualisedBatch(*undo(received.estimate, received.symbols, variance, method))


def unit_power(symbols: Tensor) -> Tensor:
    """Frames [B, uses] complex or [B, uses, 2] real, each scaled to a mean power of 1 per use, as a picture's
    payload is. Frames that are all but silent stay so."""
    return symbols * power_gain(_complex(symbols)).reshape(-1, *[1] * (symbols.ndim - 1))


def power_gain(symbols: Tensor) -> Tensor:
    """[B, 1] what brings frames [B, uses] complex to unit mean power."""
    return symbols.abs().square().mean(1, keepdim=True).clamp_min(LEAST_POWER).rsqrt()


def complex_normal(like: Tensor, variance: Tensor | float, generator: torch.Generator) -> Tensor:
    """Circular complex Gaussian samples in the shape and precision of a complex tensor, on its device."""
    pairs = torch.randn(*like.shape, 2, generator=generator, dtype=like.real.dtype, device=like.device)
    return torch.view_as_complex(pairs) * (variance / 2) ** 0.5


def _complex(symbols: Tensor) -> Tensor:
    """[B, uses] of what may be pairs of reals, in single precision at least."""
    if symbols.is_complex() and symbols.ndim == 2:
        return symbols
    if not symbols.is_complex() and symbols.ndim == 3 and symbols.shape[2] == 2:
        return torch.view_as_complex(_single(symbols).contiguous())
    raise InputError(
        f"symbols of shape {list(symbols.shape)} {symbols.dtype} are neither [B, uses] complex nor "
        "[B, uses, 2] real"
    )


def _single(reals: Tensor) -> Tensor:
    """In single precision at least: there are no complex numbers of less."""
    return reals.to(torch.promote_types(reals.dtype, torch.float32))
