"""Image codecs: the largest file that fits, a picture from it, and no more than an error from garbage."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFile
from processes import photograph

from jscc_sim.codecs import CODECS, base, cache, find_codec
from jscc_sim.codecs.container import restore, shorten
from jscc_sim.codecs.file import pack, unpack
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.metrics import measure

PICTURE = photograph(40, 56)
NAMES = list(CODECS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (33, 50)])
def test_any_size_comes_back(name, shape):
    codec = find_codec(name)
    picture = photograph(*shape)
    found = codec.decompress(codec.compress(picture, 10**7))
    assert found.shape == picture.shape
    assert found.dtype == np.uint8
    if name != "digits":  # grey, and knows nothing but handwriting
        assert measure(found, picture, metrics=()).mse < 100


@pytest.mark.parametrize("name", NAMES)
def test_the_best_that_fits(name, monkeypatch, tmp_path):
    """No level's file that fits is larger by more than 2 %: up to 160 of them are tried. Where ways to code
    are compared, sizes rise less steadily, and the better picture may be the smaller file by a percent."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    codec = find_codec(name)
    file = codec._files(PICTURE)
    tried = 40 if name == "vvc" else 160  # a program is started for each
    sizes = np.array([len(file(level)) for level in range(0, codec.levels, -(-codec.levels // tried))])
    for share in (0.02, 0.1, 0.35, 0.6, 0.9, 1.0):
        largest = round(sizes[0] + share * np.ptp(sizes))
        data = codec.compress(PICTURE, 8 * largest + 7)
        share_used = 0.98 if codec.rung == 1 else 0.95
        assert share_used * sizes[sizes <= largest].max() <= len(data) <= largest


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_below_the_smallest_file(name):
    codec = find_codec(name)
    with pytest.raises(BudgetError, match=rf"80 bits are below the \d+ of the smallest {name} file"):
        codec.compress(PICTURE, 80)


def test_quality_rises_with_bits():
    for name in NAMES:
        codec = find_codec(name)
        found = [
            measure(codec.decompress(codec.compress(PICTURE, bits)), PICTURE, metrics=()).psnr_db
            for bits in (10_000, 20_000, 40_000)
        ]
        assert found == sorted(found), name


def test_a_file_is_made_once(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    codec, made = find_codec("webp"), []

    def encode(picture, level):
        made.append(level)
        return type(codec).encode(codec, picture, level)

    monkeypatch.setattr(codec, "encode", encode)
    first = codec.compress(PICTURE, 8000)
    count = len(made)
    assert codec.compress(PICTURE.copy(), 8000) == first
    assert len(made) == count == len(set(made))
    codec.compress(PICTURE[::-1].copy(), 8000)
    assert len(made) > count, "another picture is another file"
    for path in tmp_path.rglob("*.bin"):
        path.write_bytes(path.read_bytes()[:-1])
    assert codec.compress(PICTURE, 8000) == first, "a damaged cache is no cache"


def test_files_of_another_picture_or_level_are_none(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    codec, other = find_codec("webp"), PICTURE[::-1].copy()
    kept = [codec.file(picture, level) for picture in (PICTURE, other) for level in (3, 9)]
    one, two = (tmp_path / "webp").iterdir()
    for path in (one, two):
        (path / "3.bin").rename(path / "x")
        (path / "9.bin").rename(path / "3.bin")
        (path / "x").rename(path / "9.bin")
    assert [codec.file(picture, level) for picture in (PICTURE, other) for level in (3, 9)] == kept
    one.rename(tmp_path / "x")
    two.rename(one)
    (tmp_path / "x").rename(two)
    assert [codec.file(picture, level) for picture in (PICTURE, other) for level in (3, 9)] == kept


@pytest.mark.parametrize("where", ["", "/proc/nowhere"])
def test_without_a_cache(monkeypatch, where):
    monkeypatch.setenv(cache.VARIABLE, where)
    codec = find_codec("jpeg")
    assert len(codec.compress(PICTURE, 20_000)) <= 2500


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_is_the_same_after_use(name):
    codec = find_codec(name)
    before = repr(codec), codec.version()
    found = codec.decompress(codec.encode(PICTURE, codec.levels // 2))
    assert (repr(codec), codec.version()) == before
    assert found.flags.writeable


NOISE = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
EXTREME = np.random.default_rng(0).integers(0, 2, (200, 310, 3), dtype=np.uint8) * np.uint8(255)


@pytest.mark.parametrize("picture", [NOISE, EXTREME, EXTREME[:25, :17]], ids=["noise", "extreme", "tiny"])
@pytest.mark.parametrize(
    ("name", "psnr_db"), [("jpeg", 30), ("jpeg2000", 18), ("webp", 7), ("avif", 30), ("hevc", 30)]
)
def test_pictures_of_noise_at_the_best_quality(name, psnr_db, picture):
    """WebP has no colours of single pixels."""
    codec, before = find_codec(name), ImageFile.MAXBLOCK
    found = codec.decompress(codec.encode(picture, codec.levels - 1))
    assert measure(found, picture, metrics=()).psnr_db > psnr_db
    assert before == ImageFile.MAXBLOCK


def test_vvc_codes_noise_as_well_as_its_buffer_allows():
    codec, picture = find_codec("vvc"), NOISE[:64, :64]
    best = codec.compress(picture, 10**7)
    assert 0.8 < len(best) / picture[..., 0].size < 1
    assert unpack(pack(codec, picture, 8))[1].shape == picture.shape
    assert codec.file(picture, codec.levels - 1) == best


class Brittle(base.Codec):
    """Level n is n + 10 bytes, and fails from `fails` on."""

    name, levels = "brittle", 100

    def __init__(self, fails):
        self.fails = fails

    def encode(self, picture, level):
        if level >= self.fails:
            raise ValueError(f"buffer of {level + 9} bytes is too small")
        return bytes(level + 10)

    def size(self, data):
        return 1, 1

    def decode(self, data):
        return np.zeros((1, 1, 3), np.uint8)

    def version(self):
        return f"brittle {self.fails}"


@pytest.mark.parametrize("fails", [1, 2, 50, 99])
def test_a_level_that_cannot_be_coded_is_too_large(fails, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    codec = Brittle(fails)
    assert len(codec.compress(PICTURE, 10**6)) == fails + 9
    assert len(codec.compress(PICTURE, 8 * 20)) == min(fails + 9, 20)
    assert len(codec.file(PICTURE, 99)) == fails + 9
    assert len(codec.file(PICTURE, 0)) == 10
    with pytest.raises(BudgetError, match="72 bits are below the 80 of the smallest brittle file"):
        codec.compress(PICTURE, 72)


class Uneven(base.Codec):
    """Rungs of four levels of all but equal size; the second is the best picture, the fourth the largest."""

    name, levels, rung = "uneven", 80, 4

    def encode(self, picture, level):
        return bytes([level]) * (1000 * (1 + level // 4) + level % 4)

    def size(self, data):
        return PICTURE.shape[:2]

    def decode(self, data):
        return PICTURE + np.uint8(1 if data[0] % 4 == 1 else 2)

    def version(self):
        return "uneven"


@pytest.mark.parametrize(("largest", "level"), [(1000, 0), (1001, 1), (1002, 1), (5000, 16), (5002, 17)])
def test_the_best_of_files_about_as_large(largest, level, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    assert Uneven().compress(PICTURE, 8 * largest)[0] == level


def test_a_picture_that_cannot_be_coded_at_any_level(monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    for make in (lambda codec: codec.compress(PICTURE, 10**6), lambda codec: codec.file(PICTURE, 70)):
        with pytest.raises(InputError, match=r"brittle cannot code 40x56 pixels: buffer of \d+ bytes is too"):
            make(Brittle(0))


def test_an_unknown_codec():
    with pytest.raises(InputError, match="codec 'gif' is not one of jpeg, jpeg2000, webp, avif, hevc, vvc"):
        find_codec("gif")


@pytest.mark.parametrize(("name", "module"), [("hevc", "pillow_heif"), ("vvc", "imageio_ffmpeg")])
def test_an_extra_that_is_not_installed(name, module):
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from jscc_sim.cli import main\n"
        "words = 'transmit astronaut --cbr 1/16 --snr-db 10 --system'.split()\n"
        f"sys.exit(main([*words, '{name}+ideal']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"pip install 'jscc_sim[{name}]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_boxes_are_shortened_without_loss():
    specimen = bytes(range(200)) + b"mdat"
    data = bytes(range(3, 180)) + b"\x00mdat" + b"coded mdat picture"
    short = shorten(data, specimen)
    assert restore(short, specimen) == data
    assert len(short) < len(data) - 100
    for broken in (b"", short[:1], b"\xff\xff" + short[2:], short[:3] + b"\x07" + short[4:]):
        with pytest.raises((ValueError, zlib.error)):
            restore(broken, specimen)


def test_hevc_boxes_of_a_photograph_take_110_bytes_at_most():
    codec = find_codec("hevc")
    for height, width in ((96, 128), (95, 127)):
        data = codec.encode(photograph(height, width), 30)
        assert int.from_bytes(data[:2], "big") <= 110


FUZZ = """
import resource, sys
import numpy as np
from PIL import ImageFile
from processes import photograph
from jscc_sim.codecs import find_codec
from jscc_sim.errors import InputError

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
codec, count = find_codec(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(11)
files = [codec.compress(photograph(40, 56), bits) for bits in (8_000, 30_000)]
refused = 0
for case in range(count):
    data = bytearray(files[case % 2])
    kind = case % 4
    if kind == 0:
        data = data[: rng.integers(len(data))]
    elif kind == 1:
        data = bytearray(rng.bytes(int(rng.integers(400))))
    else:
        head = len(data) if kind == 2 else min(len(data), 60)
        for at in rng.integers(head, size=rng.integers(1, 8)):
            data[at] ^= 1 << rng.integers(8)
    try:
        picture = codec.decompress(bytes(data))
        assert picture.dtype == np.uint8 and picture.ndim == 3
    except InputError:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_garbage_is_refused_and_harms_nothing(name, count):
    """In a process of its own with a limit on memory and time."""
    words = [sys.executable, "-W", "ignore", "-c", FUZZ, name, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > count // 4


@pytest.mark.parametrize(("height", "width"), [(64, 40), (42, 56), (40, 58), (32, 70), (20, 112), (300, 400)])
def test_a_vvc_stream_of_another_size_than_its_header(height, width):
    """Of as many pixels or not: nothing is scaled in silence."""
    codec = find_codec("vvc")
    data = codec.encode(PICTURE, 300)
    claimed = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    with pytest.raises(InputError, match=rf"its stream is of 40x56 pixels, not {max(height, 32)}x{width}"):
        codec.decompress(claimed + data[4:])


def test_a_vvc_stream_that_is_larger_than_its_header_costs_no_memory():
    codec = find_codec("vvc")
    data = codec.encode(photograph(300, 340), 90)
    with pytest.raises(InputError, match="exceeds specified max pixel count"):
        codec.decompress((32).to_bytes(2, "big") * 2 + data[4:])


def test_a_file_that_claims_a_huge_picture(monkeypatch):
    codec = find_codec("vvc")
    with pytest.raises(InputError, match="vvc file of 65535x65535 pixels: the limit"):
        codec.decompress(b"\xff" * 400)
    monkeypatch.setattr(base, "pixel_limit", lambda: 100)
    with pytest.raises(InputError, match="jpeg file of 40x56 pixels: the limit is 100"):
        find_codec("jpeg").decompress(find_codec("jpeg").compress(PICTURE, 20_000))
