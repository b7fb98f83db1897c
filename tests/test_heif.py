"""HEIF pictures: read with the extra installed, whoever else imported what, and asked for without it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jscc_sim.errors import InputError
from jscc_sim.images import read_picture

# A picture of libheif, its pixels cut off: enough to tell what it is.
HEAD = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(500)


def smooth(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], axis=2).astype(np.uint8)


def heic(path, picture, **options):
    library = pytest.importorskip("pillow_heif")
    library.from_pillow(Image.fromarray(picture)).save(path, quality=90, **options)
    return path


def test_heif_is_near(tmp_path):
    read = read_picture(heic(tmp_path / "a.heic", smooth()))
    assert read.shape == (48, 64, 3)
    assert np.abs(read.astype(int) - smooth()).mean() < 3


def test_heif_does_not_depend_on_its_name(tmp_path):
    path = heic(tmp_path / "a.heic", smooth())
    np.testing.assert_array_equal(read_picture(path.rename(tmp_path / "a.jpg")).shape, (48, 64, 3))


def test_transparent_heif_is_on_white(tmp_path):
    picture = np.full((64, 64, 4), (200, 30, 30, 255), np.uint8)
    picture[:32, :, 3] = 0
    read = read_picture(heic(tmp_path / "a.heic", picture))
    assert (read[:30] > 250).all()
    np.testing.assert_allclose(read[40:].astype(int), np.broadcast_to((200, 30, 30), (24, 64, 3)), atol=6)


def test_heif_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    read = read_picture(heic(tmp_path / "a.heic", smooth(), exif=exif.tobytes()))
    turned = np.rot90(smooth(), -1)
    assert read.shape == turned.shape
    assert np.abs(read.astype(int) - turned).mean() < 3


@pytest.mark.parametrize("before", ["", "import pillow_heif", "import skimage.io", "PIL.Image.init()"])
def test_heif_is_read_whatever_was_imported_before(tmp_path, before):
    path = heic(tmp_path / "a.heic", smooth())
    code = (
        f"import PIL.Image\n{before}\nfrom jscc_sim.images import read_picture\nread_picture({str(path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reading_heif_leaves_pillow_as_it_was(tmp_path):
    path = heic(tmp_path / "a.heic", smooth())
    before = set(Image.OPEN)
    read_picture(path)
    assert set(Image.OPEN) == before


def test_heif_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEAD)
    with pytest.raises(InputError, match=r"a\.heic needs pillow-heif: pip install 'jscc_sim\[hevc\]'"):
        read_picture(tmp_path / "a.heic")


def test_damaged_heif_is_an_input_error(tmp_path):
    whole = heic(tmp_path / "a.heic", smooth()).read_bytes()
    for content in (HEAD, whole[: len(whole) // 2], whole[:200] + bytes(len(whole) - 200)):
        (tmp_path / "b.heic").write_bytes(content)
        with pytest.raises(InputError, match=r"b\.heic cannot be read"):
            read_picture(tmp_path / "b.heic")


def test_avif_is_pillows(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Image.fromarray(smooth()).save(tmp_path / "a.avif", quality=95)
    assert np.abs(read_picture(tmp_path / "a.avif").astype(int) - smooth()).mean() < 3
