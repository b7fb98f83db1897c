"""Pictures of every kind, whole and broken: a picture or an InputError, never anything else."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from skimage import data as skimage_data

from jscc_sim import images
from jscc_sim.cli.outputs import writable
from jscc_sim.errors import InputError
from jscc_sim.images import BUILTIN, OUTPUT_SUFFIXES, list_pictures, read_picture, write_picture
from jscc_sim.images.folders import picture_suffixes
from jscc_sim.images.heif import HEIF_SUFFIXES

RNG = np.random.default_rng(1)
LOSSLESS = {"png": {}, "webp": {"lossless": True}, "tiff": {}, "bmp": {}}


def noise(*shape, dtype=np.uint8):
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height=24, width=40):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], axis=2).astype(np.uint8)


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (31, 33), (64, 48)])
def test_lossless_formats_are_exact(tmp_path, suffix, size):
    picture = noise(*size, 3)
    read = read_picture(saved(tmp_path / f"a.{suffix}", picture, **LOSSLESS[suffix]))
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, picture)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_formats_are_near(tmp_path, suffix):
    picture = smooth()
    read = read_picture(saved(tmp_path / f"a.{suffix}", picture, quality=95))
    assert np.abs(read.astype(int) - picture).mean() < 4


def test_grey_is_repeated(tmp_path):
    grey = noise(9, 11)
    read = read_picture(saved(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(read, np.repeat(grey[:, :, None], 3, axis=2))


def test_one_bit_is_black_and_white(tmp_path):
    bits = noise(9, 11) > 127
    read = read_picture(saved(tmp_path / "a.png", bits))
    np.testing.assert_array_equal(read, np.repeat(np.where(bits, 255, 0)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette(tmp_path, suffix):
    colours = noise(4, 3)
    index = RNG.integers(0, 4, (9, 11), np.uint8)
    image = Image.fromarray(index, mode="L").convert("P")
    image.putdata(index.ravel().tolist())
    image.putpalette(colours.ravel().tolist())
    image.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_picture(tmp_path / f"a.{suffix}"), colours[index])


def on_white(colour, alpha):
    """What a viewer shows of a transparent picture on a white page."""
    share = alpha[:, :, None] / 255
    return colour * share + 255 * (1 - share)


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_on_white(tmp_path, suffix):
    rgba = noise(16, 16, 4)
    rgba[:4, :, 3], rgba[4:8, :, 3] = 0, 255
    read = read_picture(saved(tmp_path / f"a.{suffix}", rgba, **LOSSLESS[suffix]))
    assert (read[:4] == 255).all()
    np.testing.assert_array_equal(read[4:8], rgba[4:8, :, :3])
    np.testing.assert_allclose(read, on_white(rgba[:, :, :3], rgba[:, :, 3]), atol=1)


def test_grey_with_transparency_on_white(tmp_path):
    both = noise(8, 8, 2)
    image = Image.merge("LA", [Image.fromarray(np.ascontiguousarray(both[:, :, i])) for i in (0, 1)])
    image.save(tmp_path / "a.png")
    grey = np.repeat(both[:, :, :1], 3, axis=2)
    np.testing.assert_allclose(read_picture(tmp_path / "a.png"), on_white(grey, both[:, :, 1]), atol=1)


def test_transparent_palette_entry_on_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 50, 60, 70])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    read = read_picture(tmp_path / "a.png")
    assert read[0, 0].tolist() == [255, 255, 255]
    assert read[1, 1].tolist() == [50, 60, 70]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("brightest", [65535, 1000, 255, 0])
def test_16_bits_are_scaled_to_8_however_dark(tmp_path, suffix, brightest):
    deep = RNG.integers(0, brightest, (9, 11), np.uint16, endpoint=True)
    read = read_picture(saved(tmp_path / f"a.{suffix}", deep))
    expected = np.rint(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(read, np.repeat(expected[:, :, None], 3, axis=2))


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "a.jpg")
    np.testing.assert_allclose(read_picture(tmp_path / "a.jpg")[8, 8], [0, 255, 255], atol=3)


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    picture = noise(6, 9, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{suffix}", picture, exif=exif, **LOSSLESS[suffix])
    np.testing.assert_array_equal(read_picture(path), TURNED[orientation](picture))


def test_exif_orientation_of_16_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    read = read_picture(saved(tmp_path / "a.png", noise(6, 9, dtype=np.uint16), exif=exif))
    assert read.shape == (9, 6, 3)


def exif_of(*entries):
    """(tag, type, count, value) entries as they stand in a file."""
    body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


BROKEN_EXIF = {
    "no number": exif_of((0x0112, 2, 4, b"six\0")),
    "number as text": exif_of((0x0112, 2, 2, b"6\0\0\0")),
    "no such turn": exif_of((0x0112, 3, 1, b"\x63\0\0\0")),
    "wrong type of a directory": exif_of((0x8769, 2, 4, b"abc\0")),
    "directory beyond the end": exif_of((0x8769, 4, 1, b"\xff\xff\xff\x7f")),
    "cut": exif_of((0x0112, 3, 1, b"\6\0\0\0"))[:20],
    "nothing": b"",
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("broken", BROKEN_EXIF)
def test_broken_exif_does_not_cost_the_picture(tmp_path, suffix, broken):
    options = LOSSLESS.get(suffix, {})
    plain = read_picture(saved(tmp_path / f"plain.{suffix}", smooth(), **options))
    path = saved(tmp_path / f"a.{suffix}", smooth(), exif=BROKEN_EXIF[broken], **options)
    np.testing.assert_array_equal(read_picture(path), plain)


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg", "tiff"])
def test_whatever_reading_exif_raises_does_not_cost_the_picture(tmp_path, suffix, monkeypatch):
    path = saved(tmp_path / f"a.{suffix}", smooth(), **LOSSLESS.get(suffix, {}))
    expected = read_picture(path)

    def broken(self, *arguments):
        raise AttributeError("'int' object has no attribute 'decode'")

    monkeypatch.setattr(Image.Exif, "get", broken)
    np.testing.assert_array_equal(read_picture(path), expected)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_builtin_photographs(name):
    np.testing.assert_array_equal(read_picture(name), getattr(skimage_data, name)())


def test_every_builtin_is_a_picture():
    for name in BUILTIN:
        picture = read_picture(name)
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


def test_a_file_comes_before_a_builtin_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "coffee", smooth(3, 4), format="png")
    assert read_picture("coffee").shape == (3, 4, 3)


# --- what is no picture ---------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.png does not exist"):
        read_picture(tmp_path / "none.png")


def test_name_longer_than_any_file_name():
    with pytest.raises(InputError):
        read_picture("a" * 5000)


def test_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="cannot be read: it is not a regular file"):
        read_picture(tmp_path)


def test_pipe_and_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", "/dev/zero"):
        with pytest.raises(InputError, match="cannot be read: it is not a regular file"):
            read_picture(path)


@pytest.mark.parametrize("content", [b"", b"\0", b"no picture at all\n" * 50, b"\x89PNG\r\n\x1a\n"])
def test_not_an_image(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_file(tmp_path, suffix, share):
    path = saved(tmp_path / f"a.{suffix}", noise(64, 64, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"a\.{suffix}"):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "gif", "bmp"])
def test_damaged_file_is_a_picture_or_an_input_error(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    rng = np.random.default_rng(7)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / f"a.{suffix}", smooth(12, 9), exif=exif)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    failed = 0
    for _ in range(150):
        damaged = whole.copy()
        places = rng.integers(0, len(whole), rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        path.write_bytes(damaged[: rng.integers(1, len(whole) + 1)].tobytes())
        try:
            picture = read_picture(path)
        except InputError:
            failed += 1
        else:
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
    assert failed > 30


def test_avif_whose_data_are_zeros(tmp_path):
    path = saved(tmp_path / "a.avif", noise(64, 64, 3))
    head, mark, data = path.read_bytes().partition(b"mdat")
    path.write_bytes(head + mark + bytes(len(data)))
    with pytest.raises(InputError, match=r"image .*a\.avif cannot be read: \w"):
        read_picture(path)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("no\nway"), AttributeError("no way"), struct.error(), zlib.error("no way"), MemoryError()],
)
def test_whatever_a_decoder_raises_is_one_sentence(tmp_path, monkeypatch, error):
    def broken(self):
        raise error

    path = saved(tmp_path / "a.png", smooth())
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    with pytest.raises(InputError, match=r"image .*a\.png cannot be read: (no way|error|MemoryError)$"):
        read_picture(path)


def huge_png(width, height):
    """A few bytes that claim to be a picture of any size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + rest


@pytest.mark.parametrize("size", [(9500, 9500), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_png_that_claims_a_huge_size(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(*size))
    with pytest.raises(InputError, match=r"bomb\.png has more than \d+ pixels"):
        read_picture(path)


@pytest.mark.parametrize("side", [11, 15, 40])
def test_pixel_limit_is_pillows(tmp_path, monkeypatch, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_picture(saved(tmp_path / "least.png", noise(10, 10, 3))).shape == (10, 10, 3)
    with pytest.raises(InputError, match="more than 100 pixels"):
        read_picture(saved(tmp_path / "a.png", noise(side, side, 3)))


def test_pixel_limit_holds_where_pillow_has_none(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert images.pixel_limit() == 2**31


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(f"a{suffix}" for suffix in OUTPUT_SUFFIXES), "A.PNG"])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (200, 300)])
def test_written_picture_reads_back(tmp_path, name, size):
    picture = noise(*size, 3)
    write_picture(picture, tmp_path / name)
    np.testing.assert_array_equal(read_picture(tmp_path / name), picture)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_written_file_has_usual_permissions(tmp_path):
    write_picture(smooth(), tmp_path / "a.png")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b").stat().st_mode


OTHER_SUFFIXES = sorted(Image.registered_extensions().keys() - OUTPUT_SUFFIXES.keys())


@pytest.mark.parametrize("name", [*(f"a{suffix}" for suffix in OTHER_SUFFIXES), "a.xyz", "a", ".png"])
def test_suffix_of_no_lossless_format_is_refused(tmp_path, name):
    suffix = (tmp_path / name).suffix or "no suffix"
    for refused in (lambda path: write_picture(smooth(), path), lambda path: writable(path, picture=True)):
        with pytest.raises(InputError, match=rf"output .* has .*{suffix}.* without loss, as \.bmp, \.png, "):
            refused(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_folder_that_cannot_be_written_to(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a\.png cannot be written"):
        write_picture(smooth(), tmp_path / folder / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_target_that_is_a_folder(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_picture(smooth(), tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("too wide")])
def test_failed_write_leaves_the_earlier_file_whole(tmp_path, monkeypatch, error):
    write_picture(smooth(), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def half(self, handle, **options):
        handle.write(b"half a pict")
        raise error

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(InputError, match=r"a\.png cannot be written"):
        write_picture(noise(8, 8, 3), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


# --- folders --------------------------------------------------------------------------------------


def test_pictures_of_a_folder_are_sorted(tmp_path, caplog):
    for name in ("b.png", "a.JPG", "c.webp", "notes.txt", "png", "._b.png", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_pictures(tmp_path)] == ["a.JPG", "b.png", "c.webp"]
    assert caplog.messages == [f"folder {tmp_path}: skipped 2 files that are no pictures: notes.txt, png"]


def test_of_many_skipped_files_a_few_are_named(tmp_path, caplog):
    for number in range(9):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "a.png").touch()
    list_pictures(tmp_path)
    assert caplog.messages == [
        f"folder {tmp_path}: skipped 9 files that are no pictures: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ..."
    ]


PSD = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3) + bytes(12) + bytes(2) + bytes(48)
SUN = struct.pack(">8I", 0x59A66A95, 4, 4, 24, 48, 1, 0, 0) + bytes(48)
BY_HAND = {".psd": PSD, ".ras": SUN}


@pytest.mark.parametrize("suffix", sorted(picture_suffixes()))
def test_what_is_listed_can_be_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix in HEIF_SUFFIXES:
        pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(smooth())).save(path)
    elif suffix in BY_HAND:
        path.write_bytes(BY_HAND[suffix])
    elif suffix == ".pfm":
        Image.new("F", (4, 4)).save(path)
    else:
        Image.fromarray(smooth()).save(path)
    assert list_pictures(tmp_path) == [path]
    assert read_picture(path).shape[2] == 3


def test_what_is_no_still_picture_is_not_listed():
    assert not picture_suffixes() & {".ico", ".pdf", ".eps", ".mpg", ".h5", ".svg", ".txt"}
    assert {".jpg", ".jfif", ".jpe", ".pgm", ".avif", ".jp2", ".heic"} <= picture_suffixes()


def test_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds no image files"):
        list_pictures(tmp_path)


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_no_folder_at_all(tmp_path, name):
    (tmp_path / "file.png").touch()
    with pytest.raises(InputError, match="is not a folder"):
        list_pictures(tmp_path / name)
