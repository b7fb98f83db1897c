"""What settings of HEVC and AVIF are worth, in dB of RGB PSNR at equal bits, on validation pictures.

python experiments/codec_settings.py FOLDER
"""

from __future__ import annotations

import argparse
from io import BytesIO

import numpy as np
import pillow_heif
from PIL import Image
from scipy.interpolate import PchipInterpolator

from jscc_sim.codecs.hevc import SETTINGS
from jscc_sim.codecs.raster import AVIF
from jscc_sim.images import Picture, read_picture
from jscc_sim.metrics import measure
from jscc_sim.training.data import split_folder

QUALITIES = (20, 28, 36, 44, 52)
OFFSETS = ((0, 0), (3, 3), (2, 2), (1, 1), (0, 1), (-1, -1), (-3, -3))


def hevc(picture: Picture, quality: int, chroma: tuple[int, int]) -> tuple[int, float]:
    """Bytes and PSNR with offsets of the chroma quantisers; (0, 0) means x265's own."""
    buffer, settings = BytesIO(), {"x265:cbqpoffs": str(chroma[0]), "x265:crqpoffs": str(chroma[1])}
    image = pillow_heif.from_pillow(Image.fromarray(picture))
    image.save(buffer, quality=quality, chroma=444, enc_params={**SETTINGS, **settings})
    got = np.array(pillow_heif.open_heif(buffer.getvalue()).to_pillow().convert("RGB"))
    return len(buffer.getvalue()), measure(got, picture, structural=False).psnr_db


def avif(picture: Picture, quality: int, tune: str | None) -> tuple[int, float]:
    """Bytes and PSNR tuned for something; None: what Pillow sets."""
    buffer, advanced = BytesIO(), {} if tune is None else {"tune": tune}
    options = {**AVIF.settings, "advanced": advanced}
    Image.fromarray(picture).save(buffer, format="AVIF", quality=quality, **options)
    got = np.array(Image.open(buffer).convert("RGB"))
    return len(buffer.getvalue()), measure(got, picture, structural=False).psnr_db


def main() -> None:
    """Print a line for each setting: mean gain over the first at each quality."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="training images; their held-out share is used")
    parser.add_argument("--pictures", type=int, default=5)
    arguments = parser.parse_args()
    pictures = [read_picture(p) for p in split_folder(arguments.folder).validation[: arguments.pictures]]
    for code, settings in ((hevc, OFFSETS), (avif, (None, "psnr", "ssim"))):
        curves = {s: np.array([[code(p, q, s) for q in QUALITIES] for p in pictures]) for s in settings}
        base = curves[settings[0]]
        for setting, curve in curves.items():
            gains = [
                found[:, 1] - PchipInterpolator(np.log(first[:, 0]), first[:, 1])(np.log(found[:, 0]))
                for first, found in zip(base, curve, strict=True)
            ]
            print(f"{code.__name__:<5} {setting!s:<8}", *(f"{g:+6.2f}" for g in np.mean(gains, axis=0)), "dB")


if __name__ == "__main__":
    main()
