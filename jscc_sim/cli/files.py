"""`compress` and `decompress`: pictures to files and back, as two programs."""

from __future__ import annotations

import argparse

from jscc_sim.cli.outputs import replaces_nothing, say_written, writable
from jscc_sim.codecs import find_codec
from jscc_sim.codecs.file import level_of, pack, unpack
from jscc_sim.errors import InputError
from jscc_sim.files import read_regular, write_whole
from jscc_sim.images import pixel_limit, read_picture, write_picture


def compress(arguments: argparse.Namespace) -> int:
    """A picture to a file."""
    replaces_nothing(arguments, arguments.out)
    codec = find_codec(arguments.codec, arguments.zoo)
    level_of(codec, arguments.quality)
    picture = read_picture(arguments.image)
    writable(arguments.out)
    content = pack(codec, picture, arguments.quality)
    write_whole(arguments.out, lambda handle: handle.write(content))
    height, width = picture.shape[:2]
    bits = f"{8 * len(content) / (height * width):.3f} bits per pixel"
    say_written(arguments.out, f"{len(content)} bytes, {bits}")
    return 0


def decompress(arguments: argparse.Namespace) -> int:
    """A file to a picture."""
    replaces_nothing(arguments, arguments.out)
    try:
        content = read_regular(arguments.file, 4 * pixel_limit())
    except OSError as error:
        raise InputError(f"file {arguments.file} cannot be read: {error.strerror}") from None
    writable(arguments.out, picture=True)
    try:
        codec, picture = unpack(content, arguments.zoo, arguments.codec)
    except InputError as error:
        raise InputError(f"file {arguments.file}: {error}") from None
    write_picture(picture, arguments.out)
    height, width = picture.shape[:2]
    say_written(arguments.out, f"{height}x{width} pixels, {codec.name}")
    return 0
