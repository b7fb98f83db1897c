"""SoftCast: the coefficients of a whole-image DCT as analog symbols, after Jakubczak & Katabi 2011.

Colour and DCT are orthonormal, so errors add up as they are. The coefficients of each plane form 8x8 chunks;
those of largest variance that fit are sent, each scaled by its variance to the power -1/4 (their eq. (2),
least total error at a given power), in a fixed random order in place of their Hadamard transform: both spread
fades over all chunks. The receiver's estimate is linear least squares. The header: size, gain, the plane's
means and every chunk's variance, counted as in every frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Received, equalise, reals_of, symbols_of
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.coding.protection import recover
from jscc_sim.errors import BudgetError
from jscc_sim.header import GAIN_BITS, FrameHeader, gain_code, gain_of
from jscc_sim.images import Picture
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch
from jscc_sim.systems.payload import (
    SIDE_BITS,
    check_sides,
    header_protection,
    part_of,
    read_fields,
    write_fields,
)

Array = NDArray[np.float64]

CHUNKS = 8
"""Chunks of a plane down, and across."""

MEAN_BITS, VARIANCE_BITS = 16, 6
FIELDS = (SIDE_BITS, SIDE_BITS, GAIN_BITS, *[MEAN_BITS] * 3, *[VARIANCE_BITS] * (3 * CHUNKS**2))
HEADER_BITS = sum(FIELDS)

_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_LARGEST_MEAN = 256 * math.sqrt(3)
_LEAST_OCTAVE, _OCTAVE = -8.0, 2.0  # variances from 2**-8 on, two steps an octave; 0: not sent
_ORDER_SEED = 2011


@dataclass(frozen=True, eq=False)
class Chunks:
    """What a receiver must know. means: [3] of the planes; codes: [3, 8, 8] of the variances; gain: amplitude
    factor of the payload."""

    height: int
    width: int
    gain: float
    means: Array
    codes: NDArray[np.int64]

    def scales(self) -> tuple[Array, Array]:
        """(amplitude factors before the gain, variances) of the coefficients in the order of sending."""
        sent = self.codes > 0
        variance = np.where(sent, 2.0 ** ((self.codes - 1) / _OCTAVE + _LEAST_OCTAVE), 0.0)
        spread = np.stack([self._spread(plane) for plane in variance])[self.mask][self.order]
        return spread**-0.25, spread

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """[3, H, W] which coefficients are sent."""
        return np.stack([self._spread(plane) for plane in self.codes > 0])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The order in which they are sent."""
        return np.random.default_rng(_ORDER_SEED).permutation(int(self.mask.sum()))

    @property
    def uses(self) -> int:
        """Channel uses of the payload: two coefficients each."""
        return -(-int((chunk_sizes(self.height, self.width) * (self.codes > 0)).sum()) // 2)

    def _spread(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """[8, 8] -> [H, W]."""
        rows = np.repeat(plane, np.diff(_edges(self.height)), axis=0)
        return np.repeat(rows, np.diff(_edges(self.width)), axis=1)


@dataclass(frozen=True)
class SoftCast(LinkSystem):
    """The analog baseline. equaliser: see channels; header_margin_db: see coding.protection.Protection."""

    format: ClassVar[int] = 2

    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.preload()

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self._room(budget, belief)

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        room = self._room(budget, belief)
        height, width = picture.shape[:2]
        check_sides(height, width)
        watch = Stopwatch()
        with watch.stage("encode"):
            planes = transform(picture)
            means = _dequantise(_quantise(planes[:, 0, 0] / math.sqrt(height * width)))
            planes[:, 0, 0] -= means * math.sqrt(height * width)
            chunks = Chunks(height, width, 1.0, means, _choose(planes, room))
            factors, _ = chunks.scales()
            payload = np.zeros(2 * chunks.uses)
            payload[: len(factors)] = planes[chunks.mask][chunks.order] * factors
            energy = float(np.square(payload).sum())
            gain = math.sqrt(chunks.uses / energy) if energy > 0 else 1.0
        with watch.stage("frame"):
            chunks = Chunks(height, width, gain, means, chunks.codes)
            front = header_protection(belief, budget, self.header_margin_db).protect(_header(chunks))
            analog = symbols_of(gain * payload)
        return Frame(np.concatenate([front, analog]), len(front), height, width, seconds=watch.seconds)

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            message, start = recover(equalised)
            chunks = _parse(message)
            part = part_of(equalised, start, chunks.uses)
        with watch.stage("decode"):
            factors, variance = chunks.scales()
            count = len(factors)
            heard = reals_of(part.symbols)[:count]
            amplitude = factors * chunks.gain * np.repeat(part.gain, 2)[:count]
            noise = np.repeat(part.noise_variance, 2)[:count] / 2
            found = np.empty(count)
            found[chunks.order] = heard * amplitude * variance / (amplitude**2 * variance + noise)
            planes = np.zeros((3, chunks.height, chunks.width))
            planes[chunks.mask] = found
            planes[:, 0, 0] += chunks.means * math.sqrt(chunks.height * chunks.width)
            picture = inverse(planes)
        return Reception(picture, watch.seconds)

    def _room(self, budget: int, belief: Channel) -> int:
        header_uses = header_protection(belief, budget, self.header_margin_db).uses(HEADER_BITS)
        if budget < header_uses:
            raise BudgetError(
                f"budget of {budget} uses is below the {header_uses} uses that the frame's header needs"
            )
        return budget - header_uses


def transform(picture: Picture) -> Array:
    """[H, W, 3] uint8 -> [3, H, W] coefficients, orthonormal."""
    from scipy.fft import dctn

    return np.asarray(
        dctn(np.tensordot(_COLOUR, picture.astype(np.float64), (1, 2)), axes=(1, 2), norm="ortho")
    )


def inverse(planes: Array) -> Picture:
    """The reverse, rounded and clipped."""
    from scipy.fft import idctn

    picture = np.tensordot(idctn(planes, axes=(1, 2), norm="ortho"), _COLOUR, (0, 0))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def chunk_sizes(height: int, width: int) -> NDArray[np.int64]:
    """[8, 8] coefficients of each chunk of a plane."""
    return np.asarray(np.outer(np.diff(_edges(height)), np.diff(_edges(width))))


def _edges(side: int) -> NDArray[np.int64]:
    return np.arange(CHUNKS + 1) * side // CHUNKS


def _choose(planes: Array, room: int) -> NDArray[np.int64]:
    """[3, 8, 8] variance codes; 0 for chunks that are empty, all but silent, or do not fit."""
    height, width = planes.shape[1:]
    sizes = np.broadcast_to(chunk_sizes(height, width), (3, CHUNKS, CHUNKS))
    sums = np.add.reduceat(np.add.reduceat(_padded(planes**2), _edges(height)[:-1], 1), _edges(width)[:-1], 2)
    variance = np.where(sizes > 0, sums / np.maximum(sizes, 1), 0.0)
    octaves = np.log2(np.maximum(variance, 1e-30)) - _LEAST_OCTAVE
    codes = np.clip(np.rint(_OCTAVE * octaves) + 1, 0, (1 << VARIANCE_BITS) - 1).astype(np.int64)
    codes = np.where(sizes > 0, codes, 0)
    order = np.argsort(-variance, axis=None, kind="stable")
    kept = np.zeros(codes.size, dtype=bool)
    kept[order] = np.cumsum(np.where(codes.flat[order] > 0, sizes.flat[order], 0)) <= 2 * room
    return codes * kept.reshape(codes.shape)


def _padded(planes: Array) -> Array:
    """A zero row and column behind, which chunks without coefficients may begin at."""
    return np.pad(planes, ((0, 0), (0, 1), (0, 1)))


def _quantise(means: Array) -> NDArray[np.int64]:
    steps = (1 << MEAN_BITS) - 1
    return np.asarray(np.rint((means / _LARGEST_MEAN + 1) / 2 * steps).astype(np.int64))


def _dequantise(codes: NDArray[np.int64]) -> Array:
    steps = (1 << MEAN_BITS) - 1
    return np.asarray((codes / steps * 2 - 1) * _LARGEST_MEAN)


def _header(chunks: Chunks) -> Bits:
    codes = *_quantise(chunks.means).tolist(), *chunks.codes.flat
    return write_fields((chunks.height, chunks.width, gain_code(chunks.gain), *map(int, codes)), FIELDS)


def _parse(message: Bits) -> Chunks:
    height, width, gain, *codes = read_fields(message, FIELDS)
    means, variances = _dequantise(np.array(codes[:3])), np.array(codes[3:]).reshape(3, CHUNKS, CHUNKS)
    return Chunks(height, width, gain_of(gain), means, variances)
