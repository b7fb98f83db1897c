"""The boxes around a still picture (ISO/IEC 14496-12), made short without losing a bit.

Everything before the coded picture, 350 to 420 bytes of boxes that differ little from file to file, is
deflated with a typical specimen as its dictionary: about 20 to 110 bytes are left.
"""

from __future__ import annotations

import zlib

MARK = b"mdat"
_LENGTH = 2
_LONGEST = 1 << 20


def shorten(data: bytes, specimen: bytes) -> bytes:
    """A file as it is sent: length of the deflated boxes, the deflated boxes, the coded picture."""
    end = data.index(MARK) + len(MARK)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=specimen)
    boxes = packer.compress(data[:end]) + packer.flush()
    return len(boxes).to_bytes(_LENGTH, "big") + boxes + data[end:]


def restore(short: bytes, specimen: bytes) -> bytes:
    """The file again. Raises ValueError or zlib.error for what `shorten` did not make."""
    start = _LENGTH + int.from_bytes(short[:_LENGTH], "big")
    unpacker = zlib.decompressobj(-15, zdict=specimen)
    boxes = unpacker.decompress(short[_LENGTH:start], _LONGEST)
    if not unpacker.eof or unpacker.unused_data or not boxes.endswith(MARK):
        raise ValueError("its boxes are damaged")
    return boxes + short[start:]
