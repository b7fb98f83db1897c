"""The header of a frame: what a receiver must know, as symbols that survive the channel.

header    protected     size, zoo, gain, the sender's SNR, ratio map: see coding/protection.py
payload   not here      as the ratio map says, interleaved: see coding/interleaving.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.protection import Protection, recover
from jscc_sim.coding.ratio_map import decode_map, encode_map
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.images import pixel_limit
from jscc_sim.units import BLOCK, RatioSet

LONGEST_SIDE = 65535
"""Pixels of the longest side that a header can name."""

GAIN_BITS = 12
"""Of a payload's amplitude factor."""

_SIZE_BITS, _ZOO_BITS, _SNR_BITS = 4, 16, 8
_GAIN_OCTAVES = 12.0  # gains of 2**-12 to 2**12: steps of 0.4 %, so an error of -54 dB at most
_LOWEST_SNR_DB, _SNR_STEP_DB = -30.0, 0.25


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """What the sender tells. Raises InputError for what no header can hold.

    height, width: pixels, 1 to 65535. zoo_id: 16 bits of the zoo's hash. gain: the payload's
    amplitude factor, sent = gain * latent. sender_snr_db: the SNR that the sender believed.
    index: [ceil(height / 32) * ceil(width / 32)] ratio of each block, row by row.
    """

    height: int
    width: int
    zoo_id: int
    gain: float
    sender_snr_db: float
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, side in (("height", self.height), ("width", self.width)):
            if not 1 <= side <= LONGEST_SIDE:
                raise InputError(f"{name} of {side} pixels is outside 1 to {LONGEST_SIDE}")
        if not 0 <= self.zoo_id < 1 << _ZOO_BITS:
            raise InputError(f"zoo id {self.zoo_id} is not a number of {_ZOO_BITS} bits")
        if not 0 < self.gain < math.inf:
            raise InputError(f"gain {self.gain} is not a positive number")
        if math.isnan(self.sender_snr_db):
            raise InputError("the sender's SNR is not a number")
        if self.index.shape != (self.rows * self.cols,):
            raise InputError(f"ratio map of shape {self.index.shape} for {self.rows * self.cols} blocks")

    @property
    def rows(self) -> int:
        """Blocks from top to bottom."""
        return -(-self.height // BLOCK)

    @property
    def cols(self) -> int:
        """Blocks from left to right."""
        return -(-self.width // BLOCK)


@dataclass(frozen=True)
class DecodedHeader:
    """A header as received, and the channel uses it took: the payload begins there."""

    header: FrameHeader
    uses: int


def quantise_gain(gain: float) -> float:
    """The gain as the receiver will know it: one of 4096 from 2**-12 to 2**12, evenly in decibels."""
    return gain_of(gain_code(gain))


def quantise_snr_db(snr_db: float) -> float:
    """The sender's SNR as the receiver will know it: quarters of a decibel from -30 to 33.75 dB."""
    return _LOWEST_SNR_DB + _SNR_STEP_DB * _snr_code(snr_db)


def encode_header(header: FrameHeader, ratios: RatioSet, protection: Protection) -> NDArray[np.complex64]:
    """The header's symbols, each of unit power."""
    return protection.protect(_content(header, ratios))


def header_uses(header: FrameHeader, ratios: RatioSet, protection: Protection) -> int:
    """Channel uses of encode_header's symbols, without making them."""
    return protection.uses(len(_content(header, ratios)))


def decode_header(
    heard: Equalised, ratios_of: Callable[[int], RatioSet], most_pixels_per_use: float = math.inf
) -> DecodedHeader:
    """The header of a whole received frame.

    ratios_of: the ratio set of a zoo id; what it raises is passed on. most_pixels_per_use: that a frame of
    so many uses may claim. Raises OutageError if there is no header, a CRC fails, or the content is
    impossible.
    """
    symbols, gain, noise = heard.symbols.shape, heard.gain.shape, heard.noise_variance.shape
    if not symbols == gain == noise == (len(heard.symbols),):
        raise InputError(f"symbols {symbols}, gain {gain}, noise {noise} differ")
    content, end = recover(heard)
    header, payload = _parse(content, ratios_of, most_pixels_per_use * len(heard.symbols))
    if end + payload > len(heard.symbols):
        raise ImpossibleFrameError(f"payload of {payload} uses, {len(heard.symbols) - end} arrived")
    return DecodedHeader(header, end)


def _content(header: FrameHeader, ratios: RatioSet) -> Bits:
    """The bits of the main header, without CRC and padding."""
    fields = [_size_bits(header.height), _size_bits(header.width), to_bits(header.zoo_id, _ZOO_BITS)]
    fields += [to_bits(gain_code(header.gain), GAIN_BITS)]
    fields += [to_bits(_snr_code(header.sender_snr_db), _SNR_BITS)]
    return np.concatenate([*fields, encode_map(header.index.reshape(header.rows, header.cols), len(ratios))])


def _parse(
    content: Bits, ratios_of: Callable[[int], RatioSet], most_pixels: float
) -> tuple[FrameHeader, int]:
    """The header and the channel uses of its payload. The fields precede the zoo's own errors."""
    reader = BitReader(content)
    try:
        height, width = _take_size(reader), _take_size(reader)
        zoo_id, gain_code, snr_code = reader.take(_ZOO_BITS), reader.take(GAIN_BITS), reader.take(_SNR_BITS)
    except InputError as error:
        raise ImpossibleFrameError(f"impossible header: {error}") from None
    if height * width > pixel_limit():
        raise ImpossibleFrameError(
            f"image of {height} x {width} pixels exceeds the limit of {pixel_limit()} pixels"
        )
    if height * width > most_pixels:
        raise ImpossibleFrameError(
            f"image of {height} x {width} pixels exceeds the limit of {most_pixels:.0f} pixels for a frame "
            "of so many uses (--most-pixels-per-use)"
        )
    ratios = ratios_of(zoo_id)
    try:
        index = decode_map(reader.rest, -(-height // BLOCK), -(-width // BLOCK), len(ratios)).reshape(-1)
    except InputError as error:
        raise ImpossibleFrameError(f"impossible ratio map: {error}") from None
    snr_db = _LOWEST_SNR_DB + _SNR_STEP_DB * snr_code
    return FrameHeader(height, width, zoo_id, gain_of(gain_code), snr_db, index), ratios.spent(index)


def _size_bits(side: int) -> Bits:
    """Number of bits less one, then the bits after the leading one: 512 takes 13."""
    length = side.bit_length()
    return np.concatenate([to_bits(length - 1, _SIZE_BITS), to_bits(side, length)[1:]])


def _take_size(reader: BitReader) -> int:
    length = reader.take(_SIZE_BITS)
    return 1 << length | reader.take(length)


def gain_code(gain: float) -> int:
    """The number in GAIN_BITS that stands for a gain."""
    octaves = min(max(math.log2(gain), -_GAIN_OCTAVES), _GAIN_OCTAVES)
    return round((octaves + _GAIN_OCTAVES) / (2 * _GAIN_OCTAVES) * ((1 << GAIN_BITS) - 1))


def gain_of(code: int) -> float:
    """The gain that a number stands for."""
    return float(2.0 ** (code / ((1 << GAIN_BITS) - 1) * 2 * _GAIN_OCTAVES - _GAIN_OCTAVES))


def _snr_code(snr_db: float) -> int:
    highest_db = _LOWEST_SNR_DB + _SNR_STEP_DB * ((1 << _SNR_BITS) - 1)
    return round((min(max(snr_db, _LOWEST_SNR_DB), highest_db) - _LOWEST_SNR_DB) / _SNR_STEP_DB)
