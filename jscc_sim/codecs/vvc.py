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

from jscc_sim.codecs.base import Codec
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

SETTINGS = ("-preset", "fast", "-qpa", "0")
COLOUR = "color_matrix=bt709:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
MOST_BYTES = 1 << 30
"""FFmpeg's largest single allocation: a damaged stream may claim anything."""

SECONDS = 600
_SIDE = 2
_SHORTEST = 32  # shorter sides fail in VVenC, or do when they are busy
_LOWEST_QP, _HIGHEST_QP = 12, 63  # FFmpeg's buffer of a byte per pixel is too small for most pictures below

CHROMA = (-3, -5, -7)
"""Quantiser offsets of both chroma planes, coarse to fine: a step of luma is worth three levels. At equal
bits they are worth up to 0.04 dB of RGB PSNR at low rates and 0.6 to 1 dB at high ones."""


class VVC(Codec):
    """Levels are quantiser steps, QP 63 to 12, each with chroma coarser and finer."""

    name: ClassVar[str] = "vvc"
    levels: ClassVar[int] = len(CHROMA) * (_HIGHEST_QP - _LOWEST_QP + 1)

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        steps, fine = divmod(level, len(CHROMA))
        return coded(picture, _HIGHEST_QP - steps, CHROMA[fine])

    def size(self, data: bytes) -> tuple[int, int]:
        """See Codec.size."""
        if len(data) < 2 * _SIDE:
            raise ValueError("it is too short")
        return int.from_bytes(data[:_SIDE], "big"), int.from_bytes(data[_SIDE : 2 * _SIDE], "big")

    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        height, width = self.size(data)
        rows, columns = _padded(height), _padded(width)
        colour = f"scale={columns}:{rows}:in_range=tv:out_range=full:in_{COLOUR}"
        raw = ("-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
        found = _ffmpeg("-threads", "1", "-f", "vvc", "-i", "-", "-vf", colour, *raw, data=data[2 * _SIDE :])
        return np.frombuffer(found, np.uint8).reshape(rows, columns, 3)[:height, :width]

    def version(self) -> str:
        """See Codec.version."""
        return f"vvc {_version()} {SETTINGS} {CHROMA} {COLOUR}"


def coded(picture: Picture, quantiser: int, chroma_offset: int) -> bytes:
    """The file of a picture at a QP, both chroma planes at QP + chroma_offset."""
    height, width = picture.shape[:2]
    rows, columns = _padded(height), _padded(width)
    whole = np.pad(picture, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{columns}x{rows}", "-i", "-")
    colour = f"scale=in_range=full:out_range=tv:out_{COLOUR}"
    chroma = f"CbQpOffset={chroma_offset}:CrQpOffset={chroma_offset}"
    coder = ("-c:v", "libvvenc", "-qp", str(quantiser), *SETTINGS, "-vvenc-params", chroma)
    written = ("-pix_fmt", "yuv420p10le", *coder, "-threads", "1", "-f", "vvc", "-")
    stream = _ffmpeg(*raw, "-vf", colour, *written, data=whole.tobytes())
    return height.to_bytes(_SIDE, "big") + width.to_bytes(_SIDE, "big") + stream


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
