"""Colour profiles: what a file declares becomes sRGB, and what it declares wrongly changes nothing."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from pixel_files import png_of_16_bits

from jscc_sim.images import read_picture

RNG = np.random.default_rng(5)

ADOBE_GAMMA = 563 / 256
ADOBE_TO_XYZ = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
"""Adobe RGB (1998) to XYZ, its white moved to D50 (Bradford), as in Adobe's own profile."""

SRGB_TO_XYZ = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


def srgb_curve(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_linear(encoded):
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def adobe_as_srgb(colours):
    """[..., 3] levels, by the definitions."""
    linear = (np.asarray(colours) / 255) ** ADOBE_GAMMA
    return 255 * srgb_curve(linear @ (np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_TO_XYZ).T)


# --- profiles, byte by byte (ICC.1:2001-04) -------------------------------------------------------


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def xyz(*values):
    return b"XYZ \0\0\0\0" + fixed(*values)


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH2x", 1, round(value * 256))


def profile(space, tags, kind=b"mntr", connection=b"XYZ "):
    white = xyz(0.9642, 1, 0.8249)
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    tags = {b"wtpt": white, b"desc": name, **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), b"", 0x02100000, kind, space, connection, b"", b"acsp"
    )
    header = (header + bytes(28) + fixed(0.9642, 1, 0.8249)).ljust(128, b"\0")
    return header + table + body


def rgb_profile(matrix, exponent):
    columns = {b"rXYZ": xyz(*matrix[:, 0]), b"gXYZ": xyz(*matrix[:, 1]), b"bXYZ": xyz(*matrix[:, 2])}
    return profile(b"RGB ", columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(exponent)))


def cmyk_profile():
    """A printer whose black is black and whose every colour is red: a table of 2^4 Lab values."""
    lab = [
        (0, 128, 128) if black else (136, 208, 195) if cyan or magenta or yellow else (255, 128, 128)
        for cyan in (0, 1)
        for magenta in (0, 1)
        for yellow in (0, 1)
        for black in (0, 1)
    ]
    straight = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += straight * 4 + bytes(value for colour in lab for value in colour) + straight * 3
    return profile(b"CMYK", {b"A2B0": table}, b"prtr", b"Lab ")


ADOBE = rgb_profile(ADOBE_TO_XYZ, ADOBE_GAMMA)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# --- colours --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_adobe_rgb(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    picture = RNG.integers(0, 256, (16, 16, 3), np.uint8)
    picture[0, 0] = 200, 60, 60
    read = read_picture(saved(tmp_path / f"a.{suffix}", picture, icc_profile=ADOBE, **options))
    np.testing.assert_allclose(read[0, 0].astype(int), (231, 57, 57), atol=1)
    np.testing.assert_allclose(read, adobe_as_srgb(picture), atol=1)


def test_adobe_rgb_jpeg(tmp_path):
    picture = np.full((16, 16, 3), (200, 60, 60), np.uint8)
    read = read_picture(saved(tmp_path / "a.jpg", picture, icc_profile=ADOBE, quality=100))
    np.testing.assert_allclose(read[8, 8].astype(int), (231, 57, 57), atol=2)


def test_adobe_rgb_palette(tmp_path):
    picture = np.full((8, 8, 3), (200, 60, 60), np.uint8)
    read = read_picture(saved(tmp_path / "a.png", picture, "P", icc_profile=ADOBE))
    shown = np.array(Image.open(tmp_path / "a.png").convert("RGB"))
    np.testing.assert_allclose(read, adobe_as_srgb(shown), atol=1)


def test_adobe_rgb_with_transparency(tmp_path):
    """The colour is sRGB before it meets the white of the page."""
    picture = np.full((4, 4, 4), (200, 60, 60, 128), np.uint8)
    picture[0, 0, 3] = 0
    read = read_picture(saved(tmp_path / "a.png", picture, icc_profile=ADOBE))
    assert read[0, 0].tolist() == [255, 255, 255]
    expected = 255 + (adobe_as_srgb((200, 60, 60)) - 255) * 128 / 255
    np.testing.assert_allclose(read[1, 1], expected, atol=1)


def test_adobe_rgb_of_16_bits(tmp_path):
    samples = RNG.integers(0, 65536, (8, 8, 3), np.uint16)
    tifffile.imwrite(tmp_path / "contig.tif", samples, photometric="rgb", iccprofile=ADOBE)
    planes = np.moveaxis(samples, -1, 0)
    tifffile.imwrite(
        tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate", iccprofile=ADOBE
    )
    for name in ("contig.tif", "planes.tif"):
        np.testing.assert_allclose(read_picture(tmp_path / name), adobe_as_srgb(samples / 257), atol=2)


def test_grey_of_another_gamma(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    linear = profile(b"GRAY", {b"kTRC": gamma(1)})
    read = read_picture(saved(tmp_path / "a.png", grey, icc_profile=linear))
    np.testing.assert_allclose(read[:, :, 1], 255 * srgb_curve(grey / 255), atol=1)
    assert (read[:, :, 0] == read[:, :, 2]).all()


def test_grey_of_another_gamma_with_transparency(tmp_path):
    both = np.full((4, 4, 2), (100, 255), np.uint8)
    both[0, 0, 1] = 0
    linear = profile(b"GRAY", {b"kTRC": gamma(1)})
    read = read_picture(saved(tmp_path / "a.png", both, icc_profile=linear))
    assert read[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(read[1, 1], 255 * srgb_curve(100 / 255), atol=1)


def test_cmyk(tmp_path):
    """Lab (53, 80, 67) is the red of sRGB; without the profile it would be cyan."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[:4, :, 0] = 255
    Image.frombytes("CMYK", (8, 8), ink.tobytes()).save(tmp_path / "a.tif", icc_profile=cmyk_profile())
    read = read_picture(tmp_path / "a.tif").astype(int)
    np.testing.assert_allclose(read[0, 0], (255, 0, 0), atol=8)
    np.testing.assert_allclose(read[7, 7], (255, 255, 255), atol=1)


# --- what changes nothing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    {
        "empty": b"",
        "noise": bytes(range(256)) * 4,
        "cut": ADOBE[:200],
        "no curves": profile(b"RGB ", {}),
        "grey's": profile(b"GRAY", {b"kTRC": gamma(1)}),
        "CMYK's": cmyk_profile(),
        "sRGB": SRGB,
        "sRGB in thousands of steps": profile(
            b"RGB ",
            {
                b"rXYZ": xyz(*SRGB_TO_XYZ[:, 0]),
                b"gXYZ": xyz(*SRGB_TO_XYZ[:, 1]),
                b"bXYZ": xyz(*SRGB_TO_XYZ[:, 2]),
            }
            | dict.fromkeys(
                (b"rTRC", b"gTRC", b"bTRC"),
                b"curv\0\0\0\0"
                + struct.pack(
                    ">I1024H",
                    1024,
                    *np.rint(65535 * srgb_linear(np.linspace(0, 1, 1024))).astype(int).tolist(),
                ),
            ),
        ),
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_profile_that_changes_nothing(tmp_path, suffix, declared):
    """sRGB's own in whatever words: not a level may move."""
    picture = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    read = read_picture(saved(tmp_path / f"a.{suffix}", picture, icc_profile=declared[1]))
    np.testing.assert_array_equal(read, picture)


def test_colour_profile_of_a_grey_picture_changes_nothing(tmp_path):
    grey = RNG.integers(0, 256, (8, 8), np.uint8)
    read = read_picture(saved(tmp_path / "a.png", grey, icc_profile=ADOBE))
    np.testing.assert_array_equal(read, np.repeat(grey[:, :, None], 3, axis=2))


def test_png_of_16_bits_without_profile_keeps_its_levels(tmp_path):
    levels = RNG.integers(0, 256, (8, 8, 3), np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(levels * 257))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), levels)
