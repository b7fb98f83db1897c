"""VVC intra by VVenC and FFmpeg's own decoder, in the ffmpeg program that imageio-ffmpeg brings.

4:2:0 with 10 bits, which is all that VVenC codes; BT.709, limited range. The bytes that are sent: height
and width, two bytes each, and the bare bit stream, decoded again from nothing else.
"""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from typing import ClassVar

import numpy as np

from jscc_sim.codecs.base import Codec, digest
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

SETTINGS = ("-preset", "fast", "-qpa", "0")
COLOUR = "color_matrix=bt709:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
MOST_BYTES = 1 << 30
"""FFmpeg's largest single allocation: a damaged stream may claim anything."""

SECONDS = 600
_SIDE = 2
_MARGIN = 256  # coding units beyond the picture
_SHORTEST = 32  # shorter sides fail in VVenC, or do when they are busy
_LOWEST_QP, _HIGHEST_QP = 12, 63  # FFmpeg's buffer of a byte per pixel is too small for most pictures below

CHROMA = (-6, -6)
"""Quantiser offsets of the two chroma planes. At equal bits they are worth up to 0.04 dB of RGB PSNR at low
rates and 0.6 to 1 dB at high ones."""

STEPS = 14
LAMBDAS = tuple(2 ** ((0.65 - step / 10) / 3) for step in range(STEPS))
"""Factors of what a bit is worth to the encoder, about a step of the quantiser apart: three steps are worth
two. Files grow with each, and give within 0.05 dB as much for their bits as those of whole steps."""


class VVC(Codec):
    """Levels are quantiser steps, QP 63 to 12, each with bits dearer and cheaper."""

    name: ClassVar[str] = "vvc"
    levels: ClassVar[int] = STEPS * (_HIGHEST_QP - _LOWEST_QP + 1)
    rung: ClassVar[int] = STEPS

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        return coded(picture, *_step(level))

    def size(self, data: bytes) -> tuple[int, int]:
        """See Codec.size."""
        if len(data) < 2 * _SIDE:
            raise ValueError("it is too short")
        return int.from_bytes(data[:_SIDE], "big"), int.from_bytes(data[_SIDE : 2 * _SIDE], "big")

    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        height, width = self.size(data)
        rows, columns = _padded(height), _padded(width)
        limits = ("-max_pixels", str((rows + _MARGIN) * (columns + _MARGIN)), "-threads", "1")
        colour = f"scale=in_range=tv:out_range=full:in_{COLOUR}"
        written = ("-frames:v", "1", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-")
        found = _ffmpeg(*limits, "-f", "vvc", "-i", "-", "-vf", colour, *written, data=data[2 * _SIDE :])
        _, size, _, pixels = found.split(b"\n", 3)
        wide, high = map(int, size.split())
        if (high, wide) != (rows, columns):
            raise ValueError(f"its stream is of {high}x{wide} pixels, not {rows}x{columns}")
        return np.frombuffer(pixels, np.uint8).reshape(rows, columns, 3)[:height, :width]

    def version(self) -> str:
        """See Codec.version."""
        levels = [_arguments(512, 768, *_step(level)) for level in range(self.levels)]
        return f"vvc {_version()} {digest(levels, _arguments(1, 1, *_step(0)))}"


def coded(picture: Picture, quantiser: int, chroma: tuple[int, int] = CHROMA, weight: float = 1.0) -> bytes:
    """The file of a picture at a QP. chroma: what is added to it in each of the chroma planes; weight: of a
    bit beside the squared error, over what is usual."""
    height, width = picture.shape[:2]
    below, right = _padded(height) - height, _padded(width) - width
    whole = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
    stream = _ffmpeg(*_arguments(height, width, quantiser, chroma, weight), data=whole.tobytes())
    return height.to_bytes(_SIDE, "big") + width.to_bytes(_SIDE, "big") + stream


def _step(level: int) -> tuple[int, tuple[int, int], float]:
    """What `coded` is told."""
    coarse, fine = divmod(level, STEPS)
    return _HIGHEST_QP - coarse, CHROMA, LAMBDAS[fine]


def _arguments(
    height: int, width: int, quantiser: int, chroma: tuple[int, int], weight: float
) -> tuple[str, ...]:
    """What ffmpeg is told."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{_padded(width)}x{_padded(height)}", "-i", "-")
    colour = ("-vf", f"scale=in_range=full:out_range=tv:out_{COLOUR}", "-pix_fmt", "yuv420p10le")
    more = f"CbQpOffset={chroma[0]}:CrQpOffset={chroma[1]}:LambdaModifierI={weight:.4f}"
    coder = ("-c:v", "libvvenc", "-qp", str(quantiser), *SETTINGS, "-vvenc-params", more)
    return (*raw, *colour, *coder, "-threads", "1", "-f", "vvc", "-")


def _padded(side: int) -> int:
    """Even, and not too short."""
    return max(side + side % 2, _SHORTEST)


def _ffmpeg(*arguments: str, data: bytes) -> bytes:
    command = [_program(), "-hide_banner", "-loglevel", "error", "-max_alloc", str(MOST_BYTES), *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        said = re.sub(r"\[\S+ @ \w+\] *", "", done.stderr.decode(errors="replace")).splitlines()
        raise ValueError(said[0] if said else f"ffmpeg ended with {done.returncode}")
    return done.stdout


@lru_cache(maxsize=1)
def _program() -> str:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise InputError("vvc needs imageio-ffmpeg: pip install 'jscc_sim[vvc]'") from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@lru_cache(maxsize=1)
def _version() -> str:
    done = subprocess.run([_program(), "-version"], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split("\n")[0].split(" Copyright")[0]
