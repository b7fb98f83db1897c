"""Samples of any depth: what the file declares makes the scale, and one rounding makes the level."""

from __future__ import annotations

import base64
import struct
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from pixel_files import lzw, packed_12_bits, png_file, png_of_16_bits, tiff_file

from jscc_sim.errors import InputError
from jscc_sim.images import read_picture

RNG = np.random.default_rng(4)


def scaled(samples, peak):
    """round(255 v / peak), grey repeated."""
    levels = np.rint(np.asarray(samples) * 255.0 / peak).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2) if levels.ndim == 2 else levels


def on_white(samples, peak):
    """[H, W, C] samples whose last channel is alpha."""
    colour, alpha = samples[:, :, :-1] / peak, samples[:, :, -1:] / peak
    return np.broadcast_to(255 * (colour * alpha + 1 - alpha), (*samples.shape[:2], 3))


def written(path, content):
    path.write_bytes(content)
    return path


def samples_of(dtype, shape):
    if np.dtype(dtype).kind == "f":
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def peak_of(dtype):
    return 1 if np.dtype(dtype).kind == "f" else int(np.iinfo(dtype).max)


# --- PGM, PPM, PFM --------------------------------------------------------------------------------

MAXIMA = (1, 2, 15, 100, 255, 256, 510, 1000, 1023, 4095, 65534, 65535)


def netpbm(samples, peak, plain):
    height, width = samples.shape[:2]
    kind = (2 if plain else 5) + (samples.ndim == 3)
    body = " ".join(map(str, samples.ravel())).encode() + b"\n"
    if not plain:
        body = samples.astype(">u2" if peak > 255 else "u1").tobytes()
    return f"P{kind}\n# made for a test\n{width} {height}\n{peak}\n".encode() + body


@pytest.mark.parametrize("peak", MAXIMA)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3)])
def test_netpbm_is_scaled_by_its_maximum(tmp_path, peak, plain, shape):
    samples = RNG.integers(0, peak, shape, endpoint=True)
    path = written(tmp_path / "a.pnm", netpbm(samples, peak, plain))
    np.testing.assert_array_equal(read_picture(path), scaled(samples, peak))


def test_dark_pgm_of_16_bits_is_dark(tmp_path):
    path = written(tmp_path / "a.pgm", netpbm(np.full((4, 4), 200), 65535, plain=False))
    assert (read_picture(path) == 1).all()


def test_pfm_is_0_to_1(tmp_path):
    samples = RNG.random((5, 7)).astype("<f4")
    path = written(tmp_path / "a.pfm", b"Pf\n7 5\n-1.0\n" + samples[::-1].tobytes())
    np.testing.assert_array_equal(read_picture(path), scaled(samples.astype(float), 1))


# --- TIFF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colour_tiff(tmp_path, dtype, order, planes, compression):
    samples = samples_of(dtype, (5, 7, 3))
    stored = samples if planes == "contig" else np.moveaxis(samples, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="rgb",
        planarconfig=planes,
        byteorder=order,
        compression=compression,
    )
    expected = scaled(samples.astype(float), peak_of(dtype))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_grey_tiff(tmp_path, dtype, order, photometric, compression):
    samples = samples_of(dtype, (5, 7))
    tifffile.imwrite(
        tmp_path / "a.tif", samples, photometric=photometric, byteorder=order, compression=compression
    )
    expected = scaled(samples.astype(float), peak_of(dtype))
    if photometric == "miniswhite":
        expected = 255 - expected
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), expected)


def test_dark_tiff_of_32_bits_is_dark_and_does_not_wrap(tmp_path):
    samples = np.array([[0, 200, 2**31, 2**32 - 1]], np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack")
    assert read_picture(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 0, 128, 255]


def test_grey_tiff_of_12_bits(tmp_path):
    samples = RNG.integers(0, 4095, (6, 8), endpoint=True)
    samples[0, :2] = 4095, 0
    path = written(tmp_path / "a.tif", tiff_file((6, 8), 12, packed_12_bits(samples)))
    np.testing.assert_array_equal(read_picture(path), scaled(samples, 4095))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lzw_tiff_of_16_bits(tmp_path, order, channels):
    samples = samples_of("u2", (6, 8, channels))
    data = lzw(samples.astype(f"{order}u2").tobytes())
    path = written(tmp_path / "a.tif", tiff_file((6, 8), 16, data, {259: 5}, channels, order))
    np.testing.assert_array_equal(read_picture(path), scaled(samples.squeeze(), 65535))


def test_cmyk_tiff_of_16_bits(tmp_path):
    samples = samples_of("u2", (6, 8, 4))
    path = written(tmp_path / "a.tif", tiff_file((6, 8), 16, samples.tobytes(), {262: 5}, 4))
    ink = scaled(samples, 65535)
    expected = np.array(Image.frombytes("CMYK", (8, 6), ink.tobytes()).convert("RGB"))
    np.testing.assert_array_equal(read_picture(path), expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_a_tiff(tmp_path, dtype, channels):
    samples = samples_of(dtype, (5, 7, channels))
    tifffile.imwrite(
        tmp_path / "a.tif",
        samples,
        photometric="minisblack" if channels == 2 else "rgb",
        planarconfig="contig",
        extrasamples=["unassalpha"],
    )
    expected = on_white(samples.astype(float), peak_of(dtype))
    np.testing.assert_allclose(read_picture(tmp_path / "a.tif"), expected, atol=1.5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("u1", 2), ("u2", 0.51), ("u4", 0.51), ("f4", 0.51)])
@pytest.mark.parametrize("colours", [1, 3])
def test_premultiplied_alpha_of_a_tiff(tmp_path, dtype, tolerance, colours):
    """Of 8 bits Pillow divides by alpha and multiplies again, in whole levels."""
    peak = peak_of(dtype)
    alpha = 0.2 + 0.8 * RNG.random((5, 7, 1))
    samples = (np.concatenate([RNG.random((5, 7, colours)) * alpha, alpha], axis=2) * peak).astype(dtype)
    photometric = "rgb" if colours == 3 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif",
        samples,
        photometric=photometric,
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    expected = 255 * (samples[:, :, :-1] / peak + 1 - samples[:, :, -1:] / peak)
    read = read_picture(tmp_path / "a.tif")
    np.testing.assert_allclose(read, np.broadcast_to(expected, read.shape), atol=tolerance)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_channel_of_no_meaning_is_left_out(tmp_path, dtype):
    samples = samples_of(dtype, (5, 7, 4))
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unspecified"])
    expected = scaled(samples[:, :, :3].astype(float), peak_of(dtype))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize(("dtype", "planes"), [("u2", "contig"), ("u2", "separate"), ("f4", "contig")])
def test_orientation_of_a_deep_tiff(tmp_path, dtype, planes):
    samples = samples_of(dtype, (5, 7, 3))
    stored = samples if planes == "contig" else np.moveaxis(samples, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planes, extratags=[(274, 3, 1, 6, True)]
    )
    expected = np.rot90(scaled(samples.astype(float), peak_of(dtype)), -1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_signed_tiff_is_refused(tmp_path, dtype, shape):
    samples = RNG.integers(0, 100, shape).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb" if len(shape) == 3 else "minisblack")
    with pytest.raises(
        InputError,
        match=r"a\.tif cannot be read: TIFF with [13] signed samples a pixel of .* is not supported",
    ):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (254.5, "to 254.5, not 0 to 1"), (-0.5, "from -0.5")],
)
def test_floats_beyond_0_to_1_are_refused(tmp_path, shape, value, reason):
    samples = np.full(shape, 0.5, np.float32)
    samples[2, 3] = value
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb" if len(shape) == 3 else "minisblack")
    with pytest.raises(InputError, match=reason):
        read_picture(tmp_path / "a.tif")


def test_tiff_of_16_bits_without_tifffile(tmp_path, monkeypatch):
    """Pillow's own share of them stays; of the rest is said what it needs."""
    samples = samples_of("u2", (5, 7, 3))
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", samples.astype("u4"), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), scaled(samples, 65535))
    with pytest.raises(InputError, match=r"b\.tif .* needs tifffile: pip install tifffile"):
        read_picture(tmp_path / "b.tif")


# --- PNG ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_16_bits(tmp_path, channels, interlaced):
    samples = samples_of("u2", (13, 9, channels))
    path = written(tmp_path / "a.png", png_of_16_bits(samples, interlaced))
    np.testing.assert_array_equal(read_picture(path), scaled(samples.squeeze(), 65535))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_a_png_of_16_bits(tmp_path, channels, interlaced):
    samples = samples_of("u2", (13, 9, channels))
    samples[:4, :, -1] = 65535
    read = read_picture(written(tmp_path / "a.png", png_of_16_bits(samples, interlaced)))
    np.testing.assert_allclose(read, on_white(samples, 65535), atol=1.5)
    opaque = scaled(samples[:4, :, :-1].squeeze(), 65535)
    np.testing.assert_array_equal(read[:4], opaque)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_value_of_a_png_of_16_bits(tmp_path, channels):
    samples = samples_of("u2", (13, 9, channels))
    key = samples[4, 5].copy()
    samples[7, 7] = key
    samples[8, 8] = key ^ 1  # of the same upper byte
    path = written(tmp_path / "a.png", png_of_16_bits(samples, key=key))
    expected = scaled(samples.squeeze(), 65535)
    expected[(samples == key).all(axis=2)] = 255
    read = read_picture(path)
    np.testing.assert_array_equal(read, expected)
    assert (read[7, 7] == 255).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_transparent_value_of_a_png_of_few_bits(tmp_path, bits):
    values = np.arange(2**bits)
    digits = "".join(f"{value:0{bits}b}" for value in values).ljust(8, "0")
    row = int(digits, 2).to_bytes(len(digits) // 8, "big")
    path = written(tmp_path / "a.png", png_file((1, len(values)), bits, 0, b"\0" + row, key=(1,)))
    expected = scaled(values[None], 2**bits - 1)
    expected[0, 1] = 255
    np.testing.assert_array_equal(read_picture(path), expected)


# --- others ---------------------------------------------------------------------------------------

GREY_J2K = (
    "|4;u>04V?f0000800004000000000000031000310000000000009dD0sm3}3;+NC0RRR90ssO3TmTjzU}$J?XlQU~XmDs~aA;_7XlQW%"
    "WB?EV0Zd_bV>UA`F)lGMGXIbO3IG5A001`t0soWF*bE0Le*gdg$Ls_IN5k_2zrY|1lJ5d!@=w9|0ng+V6^FqKL3Xwu|Je"
)
"""4x8 samples of 12 bits, 0, 132, 264 ..., coded without loss by FFmpeg."""

COLOUR_J2K = (
    "|4;u>051Rl000080000400000000000003100031000000000000R#J0S^HI4*>!HQUDA9000311_A;A0smY879fC#h>(bgkcfzoh=`Dg"
    "h>(bgkpE-=5C8#8VRmCSGcGYMF)%X!kN^q*00000qyPc`lh6DZ3<oH$&-@q+2Pm)4{1^-eD6aqj000000002T{tN~LNAJh}3<d;8@5lZO"
    "1_Vd%!~XyQ-}sOq3zG8!Wb#zQ{{R8s_>dqAlJf#&@>IkB00H0lkRS_^^8#e@RKflMC;k`?6^FuW3qf|aAOC;B{sAZc7!DPO!fOjbcD5h?"
    "f5H9%C;k`?6^FuW3qf|aAOC;<*#"
)
"""4x8 pixels of three samples of 16 bits."""


def test_grey_jpeg_2000_of_12_bits(tmp_path):
    path = written(tmp_path / "a.j2k", base64.b85decode(GREY_J2K))
    np.testing.assert_array_equal(read_picture(path), scaled(np.arange(32).reshape(4, 8) * 132, 4095))


def test_grey_jpeg_2000_of_16_bits(tmp_path):
    samples = samples_of("u2", (64, 64))
    Image.fromarray(samples).save(tmp_path / "a.jp2")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jp2"), scaled(samples, 65535))


def test_colour_jpeg_2000_of_16_bits_is_refused(tmp_path):
    path = written(tmp_path / "a.j2k", base64.b85decode(COLOUR_J2K))
    with pytest.raises(InputError, match=r"a\.j2k cannot be read: .*more than 8 bits in colour"):
        read_picture(path)


def test_sgi_of_16_bits_is_refused(tmp_path):
    Image.fromarray(samples_of("u1", (8, 8, 3))).save(tmp_path / "a.sgi", bpc=2)
    with pytest.raises(InputError, match=r"a\.sgi cannot be read: SGI with more than 8 bits"):
        read_picture(tmp_path / "a.sgi")


def test_fits_is_refused(tmp_path):
    """Pillow reads it, as signed numbers or as floats, with no word on what is white."""
    cards = ["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 3", "END"]
    header = "".join(f"{card:<80}" for card in cards).ljust(2880).encode()
    path = written(tmp_path / "a.fits", header + struct.pack(">12h", *range(12)).ljust(2880, b"\0"))
    with pytest.raises(InputError, match=r"a\.fits cannot be read: FITS with more than 8 bits"):
        read_picture(path)
