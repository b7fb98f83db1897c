"""What settings of HEVC, AVIF and VVC are worth, in dB of RGB PSNR at equal bits, on validation pictures.

python experiments/codec_settings.py FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator
from study import guarded

from jscc_sim.codecs import hevc, vvc
from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.pillow import AVIF, WAYS
from jscc_sim.images import Picture, read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.training.data import split_folder


def avif(picture: Picture, quality: int, way: dict[str, Any]) -> bytes:
    """The file at a quality, coded in some way."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="AVIF", quality=quality, **{**AVIF.settings, **way})
    return buffer.getvalue()


TRIED: tuple[tuple[Codec, Callable[[Picture, int, Any], bytes], tuple[int, ...], tuple[Any, ...]], ...] = (
    (
        hevc.HEVC(),
        hevc.coded,
        (41, 37, 33, 29, 25),
        (hevc.Step((0, 0)), *hevc.STEPS),
    ),
    (AVIF(), avif, (20, 28, 36, 44, 52), ({"speed": 6}, *WAYS)),
    (
        vvc.VVC(),
        vvc.coded,
        (47, 41, 35, 29, 23),
        ((0, 0), *((offset, offset) for offset in range(-3, -9, -1))),
    ),
)
"""Codec, its file of a picture at a rate and a setting, rates, settings, the library's own first: x265 takes
offsets of (0, 0) for its own of 6."""


def main() -> None:
    """Print a line for each setting: mean gain over the first at each rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="training images; their held-out share is used")
    parser.add_argument("--pictures", type=int, default=5)
    arguments = parser.parse_args()
    pictures = [read_picture(p) for p in split_folder(arguments.folder).validation[: arguments.pictures]]
    for codec, code, rates, settings in TRIED:
        first = None
        for setting in settings:
            curves = np.array([[point(codec, p, code(p, r, setting)) for r in rates] for p in pictures])
            first = curves if first is None else first
            gains = np.mean([gain(*pair) for pair in zip(first, curves, strict=True)], axis=0)
            print(f"{codec.name:<5} {setting!s:<8}", *(f"{g:+6.2f}" for g in gains), "dB", flush=True)


def point(codec: Codec, picture: Picture, data: bytes) -> tuple[int, float]:
    """Bytes and PSNR of a file."""
    return len(data), psnr_between(codec.decode(data), picture)


def gain(first: np.ndarray, found: np.ndarray) -> np.ndarray:
    """What is above a curve, in dB, at the points found: [rates, 2] bytes and PSNR both."""
    return found[:, 1] - PchipInterpolator(np.log(first[:, 0]), first[:, 1])(np.log(found[:, 0]))


if __name__ == "__main__":
    guarded(main)
