"""JPEGs with all of their data, and those that only end as if they had."""

import io

import numpy as np
import pytest
from PIL import Image
from processes import photograph

from jscc_sim.errors import InputError
from jscc_sim.images import read_picture

END = b"\xff\xd9"
WAYS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "fine": {"quality": 95, "subsampling": 0},
    "coarse": {"quality": 5, "optimize": True},
    "an end marker in a comment": {"comment": b"like a thumbnail's " + END},
}


def coded(way, mode="RGB", size=(96, 128)):
    file = io.BytesIO()
    Image.fromarray(photograph(*size)).convert(mode).save(file, "JPEG", **WAYS[way])
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("way", WAYS)
def test_whole_ones_are_read(tmp_path, way, mode):
    path = tmp_path / "a.jpg"
    for size in ((96, 128), (37, 51)):
        for more in (b"", b"and some more " + END):
            path.write_bytes(coded(way, mode, size) + more)
            with Image.open(path) as image:
                expected = np.asarray(image.convert("RGB"))
            found = read_picture(path)
            if mode == "CMYK":  # converted by other means
                assert found.shape == expected.shape
            else:
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("share", [0.999, 0.9, 0.6])
@pytest.mark.parametrize("way", WAYS)
def test_one_cut_and_closed_is_refused(tmp_path, way, share, mode):
    whole, path = coded(way, mode), tmp_path / "a.jpg"
    path.write_bytes(whole[: int(share * (len(whole) - 2)) - 2] + END)
    with Image.open(path) as image:
        image.load()  # without a word
    with pytest.raises(InputError, match=r"a\.jpg cannot be read: it is cut short"):
        read_picture(path)


def test_several_pictures_in_one_file(tmp_path):
    path, picture = tmp_path / "a.mpo", Image.fromarray(photograph())
    picture.save(path, "MPO", save_all=True, append_images=[picture.rotate(180)])
    with Image.open(path) as image:
        assert image.format == "MPO"
        np.testing.assert_array_equal(read_picture(path), np.asarray(image))
