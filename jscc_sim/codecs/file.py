"""Compressed pictures as files: which codec, a checksum, then what the codec made.

Three bytes `JSC`, one with the codec's place in CODECS, four with the CRC-32 of all that follows. A plug-in's
file has PLUGIN in place of that, and then begins with the length of the codec's name and the name.
"""

from __future__ import annotations

import zlib

from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.catalogue import CODECS, codec_names, find_codec
from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.plugins import is_own

MAGIC = b"JSC"
HEADER_BYTES = len(MAGIC) + 1 + 4

PLUGIN = 255
"""In place of a number in CODECS, of which there will not be so many."""

WEAKEST, STRONGEST = 1.0, 8.0
"""Qualities, whatever the levels of a codec."""


def level_of(codec: Codec, quality: float) -> int:
    """The level of a quality from 1 (weakest) to 8. Raises InputError."""
    if not WEAKEST <= quality <= STRONGEST:
        raise InputError(f"quality {quality:g} is outside {WEAKEST:g} to {STRONGEST:g}")
    return round((quality - WEAKEST) / (STRONGEST - WEAKEST) * (codec.levels - 1))


def pack(codec: Codec, picture: Picture, quality: float) -> bytes:
    """The file of a picture. Raises InputError."""
    data = codec.file(picture, level_of(codec, quality))
    if is_own(type(codec)):
        number = list(CODECS).index(codec.name)
    else:
        name = codec.name.encode()
        number, data = PLUGIN, bytes([len(name)]) + name + data
    return MAGIC + bytes([number]) + zlib.crc32(data).to_bytes(4, "big") + data


def unpack(content: bytes, folder: str = "", plugin: str = "") -> tuple[Codec, Picture]:
    """The codec and the picture of a file that may come from anyone. folder: of the weights, if they are
    not the released ones; plugin: the codec of a plug-in's file, if it is not installed under its name. The
    file itself loads no code. Raises InputError."""
    data = content[HEADER_BYTES:]
    if content[: len(MAGIC)] != MAGIC or len(content) < HEADER_BYTES:
        raise InputError("not a file of jscc-sim compress")
    number, found = content[len(MAGIC)], int.from_bytes(content[len(MAGIC) + 1 : HEADER_BYTES], "big")
    checksum = zlib.crc32(data)
    if found != checksum:
        raise InputError(f"damaged: its {len(data)} bytes have checksum {checksum:08x}, not {found:08x}")
    if number == PLUGIN:
        return _unpack_plugin(data, plugin)
    names = list(CODECS)
    if number >= len(names):
        raise InputError(f"of codec {number}, which is none of {', '.join(names)}")
    codec = find_codec(names[number], folder)
    if plugin and find_codec(plugin, folder).name != codec.name:
        raise InputError(f"of codec {codec.name}, not of {plugin}")
    return codec, codec.decompress(data)


def _unpack_plugin(data: bytes, plugin: str) -> tuple[Codec, Picture]:
    length = data[0] if data else 0
    name = data[1 : 1 + length].decode("ascii", "replace")
    if not name.isprintable() or len(name) != length or not length:
        raise InputError(f"of codec {PLUGIN}, a plug-in's, whose name is not in it")
    if not plugin and name not in codec_names():
        raise InputError(f"of codec {name!r}, which is a plug-in: say which with --codec")
    codec = find_codec(plugin or name)
    if codec.name != name:
        raise InputError(f"of codec {name!r}, not of {plugin or name}, whose name is {codec.name!r}")
    return codec, codec.decompress(data[1 + length :])
