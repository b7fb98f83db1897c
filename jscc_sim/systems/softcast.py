"""SoftCast: the coefficients of a whole-image DCT as analog symbols, after Jakubczak & Katabi 2011.

Colour and DCT are orthonormal, so errors add up as they are. The coefficients of each plane form 8x8 chunks;
those of largest variance that fit are sent, each scaled by its variance to the power -1/4 (their eq. (2),
least total error at a given power), interleaved in place of their Hadamard transform: both spread fades over
all chunks. The receiver's estimate is linear least squares. The header's own fields: the planes' means and
every chunk's variance, counted as in every frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised, EqualisedReals, symbols_of
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import Stopwatch
from jscc_sim.systems.payload import SOFTCAST, SOFTCAST_ID, read_fields, write_fields

Array = NDArray[np.float64]

CHUNKS = 8
"""Chunks of a plane down, and across."""

MEAN_BITS, VARIANCE_BITS = 16, 6
FIELDS = (*[MEAN_BITS] * 3, *[VARIANCE_BITS] * (3 * CHUNKS**2))

_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_LARGEST_MEAN = 256 * math.sqrt(3)
_LEAST_OCTAVE, _OCTAVE = -8.0, 2.0  # variances from 2**-8 on, two steps an octave; 0: not sent


@dataclass(frozen=True, eq=False)
class Chunks:
    """What a receiver must know. means: [3] of the planes; codes: [3, 8, 8] of the variances."""

    height: int
    width: int
    means: Array
    codes: NDArray[np.int64]

    def scales(self) -> tuple[Array, Array]:
        """(amplitude factors before the gain, variances) of the coefficients that are sent."""
        sent = self.codes > 0
        variance = np.where(sent, 2.0 ** ((self.codes - 1) / _OCTAVE + _LEAST_OCTAVE), 0.0)
        spread = np.stack([self._spread(plane) for plane in variance])[self.mask]
        return spread**-0.25, spread

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """[3, H, W] which coefficients are sent."""
        return np.stack([self._spread(plane) for plane in self.codes > 0])

    @property
    def uses(self) -> int:
        """Channel uses of the payload: two coefficients each."""
        return -(-int((chunk_sizes(self.height, self.width) * (self.codes > 0)).sum()) // 2)

    def bits(self) -> Bits:
        """As the header holds them."""
        return write_fields([*_quantise(self.means).tolist(), *map(int, self.codes.flat)], FIELDS)

    @classmethod
    def read(cls, header: FrameHeader) -> Chunks:
        """Of a received header. Raises ImpossibleFrameError."""
        codes = read_fields(header.fields, FIELDS)
        variances = np.array(codes[3:]).reshape(3, CHUNKS, CHUNKS)
        return cls(header.height, header.width, _dequantise(np.array(codes[:3])), variances)

    def _spread(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """[8, 8] -> [H, W]."""
        rows = np.repeat(plane, np.diff(_edges(self.height)), axis=0)
        return np.repeat(rows, np.diff(_edges(self.width)), axis=1)


@dataclass(frozen=True)
class SoftCast(AnalogLink[Chunks]):
    """The analog baseline. equaliser: see channels; header_margin_db: see coding.protection.Protection."""

    format: ClassVar[int] = 3
    name: ClassVar[str] = SOFTCAST
    system_id: ClassVar[int] = SOFTCAST_ID
    own_bits: ClassVar[int] = sum(FIELDS)

    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.prepare()

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[Chunks]:
        """See AnalogLink.payload."""
        room, root = self.room(request), math.sqrt(request.height * request.width)
        with watch.stage("encode"):
            planes = transform(picture)
            means = _dequantise(_quantise(planes[:, 0, 0] / root))
            planes[:, 0, 0] -= means * root
            chunks = Chunks(request.height, request.width, means, _choose(planes, room))
            factors, _ = chunks.scales()
            reals = planes[chunks.mask] * factors
            symbols = symbols_of(np.pad(reals, (0, len(reals) % 2)))
        return Payload(symbols, chunks)

    def fields(self, header: FrameHeader) -> Chunks:
        """See AnalogLink.fields."""
        return Chunks.read(header)

    def picture(self, heard: Equalised, header: FrameHeader, fields: Chunks, watch: Stopwatch) -> Picture:
        """See AnalogLink.picture."""
        with watch.stage("decode"):
            factors, variance = fields.scales()
            reals, count = EqualisedReals.of(heard, header.gain), len(factors)
            amplitude, noise = factors * reals.gain[:count], reals.noise_variance[:count]
            shrink = amplitude * variance / (amplitude**2 * variance + noise)
            planes = np.zeros((3, header.height, header.width))
            planes[fields.mask] = reals.values[:count] * shrink
            planes[:, 0, 0] += fields.means * math.sqrt(header.height * header.width)
            return inverse(planes)


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
