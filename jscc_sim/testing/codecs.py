"""What every Codec promises."""

from __future__ import annotations

import copy
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NoReturn

import numpy as np

from jscc_sim.codecs import Codec
from jscc_sim.codecs.base import check_codec
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.images import Picture
from jscc_sim.metrics import mean_squared_error
from jscc_sim.testing.pictures import sample_picture


class CodecContract:
    """What every Codec promises. Set `codec` to an instance; the rest may be changed. damaged: how many
    broken files are tried, seconds: how long the codec may look at one of them."""

    codec: Codec
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((1, 1), (7, 13), (40, 56))
    damaged: ClassVar[int] = 60
    seconds: ClassVar[float] = 10.0

    def test_says_what_it_must(self) -> None:
        check_codec(type(self.codec).__name__, self.codec)
        assert self.codec.version() == copy.deepcopy(self.codec).version()
        assert "0x" not in repr(self.codec), "its repr differs from process to process"

    def test_any_size_comes_back(self) -> None:
        for picture in self._pictures():
            for level in self._levels():
                data = self.codec.file(picture, level)
                assert tuple(self.codec.size(data)) == picture.shape[:2]
                found = self.codec.decompress(data)
                assert found.shape == picture.shape
                assert found.dtype == np.uint8

    def test_keeps_its_budget(self) -> None:
        """At most so many bits, whatever they are, and BudgetError below the smallest file."""
        picture = self._pictures()[-1]
        sizes = [len(self.codec.file(picture, level)) for level in self._levels()]
        for share in (0.0, 0.1, 0.5, 0.9, 1.0, 3.0):
            most = round(min(sizes) + share * (max(sizes) - min(sizes)))
            data = self.codec.compress(picture, 8 * most + 7)
            assert len(data) <= most
            assert self.codec.decompress(data).shape == picture.shape
        for bits in (0, 7):
            try:
                data = self.codec.compress(picture, bits)
            except BudgetError:
                continue
            assert 8 * len(data) <= bits

    def test_more_bits_are_a_better_picture(self) -> None:
        picture = self._pictures()[-1]
        files = [self.codec.file(picture, level) for level in self._levels()]
        errors = [mean_squared_error(self.codec.decompress(data), picture) for data in (files[0], files[-1])]
        assert len(files[0]) <= len(files[-1]), "the lowest level has the larger file"
        assert errors[1] <= errors[0], "the highest level is the worse picture"

    def test_is_deterministic(self) -> None:
        for picture in self._pictures():
            level = self.codec.levels // 2
            first, again = self.codec.encode(picture, level), copy.deepcopy(self.codec).encode(picture, level)
            assert first == again, "two calls differ"
            assert np.array_equal(self.codec.decompress(first), self.codec.decompress(first))

    def test_leaves_its_picture_as_it_is(self) -> None:
        for picture in self._pictures():
            before = picture.copy()
            self.codec.encode(picture, 0)
            assert np.array_equal(picture, before), "the codec changed the picture it was given"

    def test_damaged_files_are_refused_or_pictures(self) -> None:
        """Cut short, random, or with bits that are wrong: within `seconds`, InputError or a picture."""
        files = [self.codec.file(self._pictures()[-1], level) for level in self._levels()]
        for data in _damaged(files, self.damaged):
            try:
                with _within(self.seconds, f"a file of {len(data)} bytes"):
                    found = self.codec.decompress(data)
            except InputError:
                continue
            assert found.ndim == 3
            assert found.dtype == np.uint8

    def _pictures(self) -> list[Picture]:
        return [sample_picture(height, width) for height, width in self.sizes]

    def _levels(self) -> list[int]:
        return sorted({0, self.codec.levels // 2, self.codec.levels - 1})


def _damaged(files: list[bytes], count: int) -> Iterator[bytes]:
    """The same each time."""
    rng = np.random.default_rng(11)
    yield b""
    for case in range(count):
        data = bytearray(files[case % len(files)])
        kind = case % 4
        if kind == 0:
            yield bytes(data[: rng.integers(len(data))])
        elif kind == 1:
            yield rng.bytes(int(rng.integers(400)))
        else:
            head = len(data) if kind == 2 else min(len(data), 60)
            for at in rng.integers(head, size=rng.integers(1, 8)):
                data[at] ^= 1 << rng.integers(8)
            yield bytes(data)


class _TooSlowError(BaseException):
    """Ends what takes too long, whatever becomes of it on its way out of the codec."""


@contextmanager
def _within(seconds: float, what: str) -> Iterator[None]:
    """Raises AssertionError where that takes longer, if this is a main thread that signals reach."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    late = False

    def stop(*_: object) -> NoReturn:
        nonlocal late
        late = True
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except BaseException:
        if not late:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not late, f"{what} is looked at for more than {seconds:g} s"
