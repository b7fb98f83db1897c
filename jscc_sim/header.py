"""The header of a frame: what a receiver must know, as symbols that survive the channel.

    common     size, system id, gain, the sender's SNR
    own        fields of the system's own, such as block JSCC's ratio map

All of it protected, see coding/protection.py; the payload follows, interleaved, see coding/interleaving.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.protection import Protection, recover
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.images import pixel_limit

LONGEST_SIDE = 65535
"""Pixels of the longest side that a header can name."""

_SIZE_BITS, _ID_BITS, _GAIN_BITS, _SNR_BITS = 4, 16, 12, 8
_GAIN_OCTAVES = 12.0  # gains of 2**-12 to 2**12: steps of 0.4 %, so an error of -54 dB at most
_LOWEST_SNR_DB, _SNR_STEP_DB = -30.0, 0.25


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """What the sender tells. Raises InputError for what no header can hold.

    height, width: pixels, 1 to 65535. system_id: 16 bits of the weights' hash, or those of a system that has
    no weights. gain: the payload's amplitude factor, sent = gain * latent. sender_snr_db: the SNR that the
    sender believed. fields: the system's own; as received, with zeros behind them.
    """

    height: int
    width: int
    system_id: int
    gain: float
    sender_snr_db: float
    fields: Bits

    def __post_init__(self) -> None:
        check_size(self.height, self.width)
        if not 0 <= self.system_id < 1 << _ID_BITS:
            raise InputError(f"system id {self.system_id} is not a number of {_ID_BITS} bits")
        if not 0 < self.gain < math.inf:
            raise InputError(f"gain {self.gain} is not a positive number")
        if math.isnan(self.sender_snr_db):
            raise InputError("the sender's SNR is not a number")


@dataclass(frozen=True)
class DecodedHeader:
    """A header as received, and the channel uses it took: the payload begins there."""

    header: FrameHeader
    uses: int


def check_size(height: int, width: int) -> None:
    """Raises InputError for a picture whose size no header holds."""
    for name, side in (("height", height), ("width", width)):
        if not 1 <= side <= LONGEST_SIDE:
            raise InputError(f"{name} of {side} pixels is outside 1 to {LONGEST_SIDE}")


def quantise_gain(gain: float) -> float:
    """The gain as the receiver will know it: one of 4096 from 2**-12 to 2**12, evenly in decibels."""
    return _gain_of(_gain_code(gain))


def quantise_snr_db(snr_db: float) -> float:
    """The sender's SNR as the receiver will know it: quarters of a decibel from -30 to 33.75 dB."""
    return _LOWEST_SNR_DB + _SNR_STEP_DB * _snr_code(snr_db)


def encode_header(header: FrameHeader, protection: Protection) -> NDArray[np.complex64]:
    """The header's symbols, each of unit power."""
    return protection.protect(content(header))


def header_bits(height: int, width: int, own: int) -> int:
    """Bits of the header of a picture of that size, `own` of them the system's, before protection."""
    sides = sum(_SIZE_BITS + side.bit_length() - 1 for side in (height, width))
    return sides + _ID_BITS + _GAIN_BITS + _SNR_BITS + own


def decode_header(heard: Equalised, most_pixels_per_use: float = math.inf) -> DecodedHeader:
    """The header of a whole received frame.

    most_pixels_per_use: that a frame of so many uses may claim. Raises OutageError if there is no header, a
    CRC fails, or the common fields are impossible.
    """
    symbols, gain, noise = heard.symbols.shape, heard.gain.shape, heard.noise_variance.shape
    if not symbols == gain == noise == (len(heard.symbols),):
        raise InputError(f"symbols {symbols}, gain {gain}, noise {noise} differ")
    found, end = recover(heard)
    return DecodedHeader(_parse(found, most_pixels_per_use * len(heard.symbols)), end)


def content(header: FrameHeader) -> Bits:
    """The bits of a header, without CRC and padding."""
    common = [_size_bits(header.height), _size_bits(header.width), to_bits(header.system_id, _ID_BITS)]
    common += [to_bits(_gain_code(header.gain), _GAIN_BITS)]
    common += [to_bits(_snr_code(header.sender_snr_db), _SNR_BITS)]
    return np.concatenate([*common, header.fields])


def _parse(found: Bits, most_pixels: float) -> FrameHeader:
    reader = BitReader(found)
    try:
        height, width = _take_size(reader), _take_size(reader)
        system_id, gain, snr = reader.take(_ID_BITS), reader.take(_GAIN_BITS), reader.take(_SNR_BITS)
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
    snr_db = _LOWEST_SNR_DB + _SNR_STEP_DB * snr
    return FrameHeader(height, width, system_id, _gain_of(gain), snr_db, reader.rest)


def _size_bits(side: int) -> Bits:
    """Number of bits less one, then the bits after the leading one: 512 takes 13."""
    length = side.bit_length()
    return np.concatenate([to_bits(length - 1, _SIZE_BITS), to_bits(side, length)[1:]])


def _take_size(reader: BitReader) -> int:
    length = reader.take(_SIZE_BITS)
    return 1 << length | reader.take(length)


def _gain_code(gain: float) -> int:
    """The number in _GAIN_BITS that stands for a gain."""
    octaves = min(max(math.log2(gain), -_GAIN_OCTAVES), _GAIN_OCTAVES)
    return round((octaves + _GAIN_OCTAVES) / (2 * _GAIN_OCTAVES) * ((1 << _GAIN_BITS) - 1))


def _gain_of(code: int) -> float:
    """The gain that a number stands for."""
    return float(2.0 ** (code / ((1 << _GAIN_BITS) - 1) * 2 * _GAIN_OCTAVES - _GAIN_OCTAVES))


def _snr_code(snr_db: float) -> int:
    highest_db = _LOWEST_SNR_DB + _SNR_STEP_DB * ((1 << _SNR_BITS) - 1)
    return round((min(max(snr_db, _LOWEST_SNR_DB), highest_db) - _LOWEST_SNR_DB) / _SNR_STEP_DB)
