"""What every image codec is: the best quality whose bytes fit, and a picture from bytes that may be wrong."""

from __future__ import annotations

import hashlib
import math
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache, partial
from typing import ClassVar, NamedTuple, final

import numpy as np

from jscc_sim.codecs.cache import cached
from jscc_sim.errors import BudgetError, InputError, one_line
from jscc_sim.images import Picture, pixel_limit
from jscc_sim.metrics import mean_squared_error
from jscc_sim.plugins import STOPS, errors_named, is_own, plugin_sha256, prints_aside

LONGEST_NAME, MOST_LEVELS = 40, 1 << 20
"""Of plug-ins."""

_NAME = re.compile(f"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}")

AS_LARGE = 0.99
"""Of the largest file that fits: one that large may be the better picture."""


class Codec(ABC):
    """An image codec with a ladder of quality levels, 0 to levels - 1, sizes all but rising. What it cannot
    code at some level, it cannot at higher ones. A plug-in's name is none of the package's own; its version
    need say nothing of its file's text and its fields, which count too."""

    name: ClassVar[str]
    levels: ClassVar[int]

    rung: ClassVar[int] = 1
    """Levels that are ways to code a picture about as well, and differ in how well: every so many are tried
    first."""

    look_ahead: ClassVar[int] = 3
    """Levels above the first that is too large which are tried too: sizes do not rise with every level."""

    @abstractmethod
    def encode(self, picture: Picture, level: int) -> bytes:
        """The file of a picture [H, W, 3] uint8 at a level."""

    @abstractmethod
    def size(self, data: bytes) -> tuple[int, int]:
        """(height, width) that a file claims. May raise anything."""

    @abstractmethod
    def decode(self, data: bytes) -> Picture:
        """The picture of a file. May raise anything."""

    @abstractmethod
    def version(self) -> str:
        """Of the library and of its settings: a file's bytes depend on nothing else. Raises InputError,
        with what to install, where the library is missing."""

    def __repr__(self) -> str:
        """The same in every process: it is part of what identifies a trial."""
        return f"{type(self).__qualname__}()"

    @final
    def compress(self, picture: Picture, max_bits: int) -> bytes:
        """The largest file found that has at most max_bits, about the highest level that does; where levels
        differ in how well they use their bits, the best picture of those about as large. Files are kept on
        disk, see `cache`. Raises BudgetError if none has, InputError for what the codec cannot code at any
        level."""
        largest, tried = max_bits // 8, self._tried(picture)
        found = self._fitting(lambda level: tried(level).fits(largest), self.levels)
        if found:
            files = [tried(level).file() for level in sorted(found, reverse=True)]
            most = max(map(len, files))
            if self.rung == 1:
                return next(data for data in files if len(data) == most)
            near = {data for data in files if len(data) >= AS_LARGE * most}
            return min(near, key=lambda data: (mean_squared_error(self.decompress(data), picture), data))
        smallest = tried(0).file()
        raise BudgetError(
            f"{max(max_bits, 0)} bits are below the {8 * len(smallest)} of the smallest {self.name} file"
        )

    @final
    def file(self, picture: Picture, level: int) -> bytes:
        """The file of a level, or of the highest below it that the codec can code; kept on disk as those of
        `compress` are. Raises InputError if there is none."""
        tried = self._tried(picture)
        if not tried(level).fits():
            level = max(self._fitting(lambda lower: tried(lower).fits(), level), default=level)
        return tried(level).file()

    @final
    def decompress(self, data: bytes) -> Picture:
        """The picture [H, W, 3] uint8 of a file that may come from anyone. Raises InputError."""
        try:
            with prints_aside(self.name):
                height, width = map(operator.index, self.size(data))
        except STOPS:
            raise
        except BaseException as error:
            raise InputError(f"not a {self.name} file: {_line(error)}") from None
        if not 0 < height * width <= pixel_limit():
            raise InputError(
                f"{self.name} file of {height}x{width} pixels: the limit is {pixel_limit()} pixels"
            )
        try:
            with prints_aside(self.name):
                picture = self.decode(data)
        except STOPS:
            raise
        except BaseException as error:
            raise InputError(f"{self.name} file cannot be decoded: {_line(error)}") from None
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
            kind = picture.dtype if isinstance(picture, np.ndarray) else type(picture).__name__
            raise InputError(f"{self.name} file decodes to {kind}, not to an array of uint8")
        if picture.shape != (height, width, 3):
            raise InputError(f"{self.name} file of {height}x{width} pixels decodes to {picture.shape}")
        return np.array(picture, order="C")

    def _fitting(self, fits: Callable[[int], bool], levels: int) -> set[int]:
        """Levels below `levels` that fit, the highest ones among them, if those that fit are all but the
        lowest: found by bisection, first of whole rungs."""
        found = set()
        below, above = -1, levels
        for step in (self.rung, 1):
            while above - below > step:
                level = below + max((above - below) // (2 * step), 1) * step
                if fits(level):
                    below = level
                    found.add(level)
                else:
                    above = level
        found.update(filter(fits, range(above + 1, min(above + 1 + self.look_ahead, levels))))
        return found

    def _tried(self, picture: Picture) -> Callable[[int], _Tried]:
        """Level -> what came of it. Raises InputError where the library is missing."""
        files = self._files(picture)

        @cache
        def tried(level: int) -> _Tried:
            try:
                return _Tried(files(level))
            except InputError as error:
                return _Tried(error)

        return tried

    def _files(self, picture: Picture) -> Callable[[int], bytes]:
        """Level -> file."""
        with errors_named(self.name):
            version = self.version()
        known = version if is_own(type(self)) else f"{version} {plugin_sha256(self)}"
        return cached(self.name, known, picture, partial(self._encoded, picture))

    def _encoded(self, picture: Picture, level: int) -> bytes:
        try:
            with prints_aside(self.name):
                data = self.encode(picture if is_own(type(self)) else picture.copy(), level)
            if not isinstance(data, bytes):
                raise InputError(f"{self.name} encodes to a {type(data).__name__}, not to bytes")
            if not data:
                raise InputError(f"{self.name} encodes to no bytes at all")
            return data
        except (InputError, *STOPS):
            raise
        except BaseException as error:
            height, width = picture.shape[:2]
            raise InputError(f"{self.name} cannot code {height}x{width} pixels: {_line(error)}") from None


class _Tried(NamedTuple):
    """What came of a level: a file, or why there is none. Libraries have buffers that very busy pictures
    overflow at high levels."""

    found: bytes | InputError

    def fits(self, largest: float = math.inf) -> bool:
        """Whether there is a file of at most so many bytes."""
        return isinstance(self.found, bytes) and len(self.found) <= largest

    def file(self) -> bytes:
        """Raises InputError."""
        if isinstance(self.found, InputError):
            raise self.found
        return self.found


def check_codec(name: str, codec: Codec) -> None:
    """Raises InputError for a plug-in that does not say what it must."""
    if is_own(type(codec)):
        return
    called, levels = getattr(codec, "name", None), getattr(codec, "levels", None)
    if not isinstance(called, str) or not _NAME.fullmatch(called):
        raise InputError(
            f"codec {name}: its name is {called!r}, not letters, digits, - and _, {LONGEST_NAME} at most"
        )
    for what, value, least in (
        ("levels", levels, 1),
        ("rung", codec.rung, 1),
        ("look_ahead", codec.look_ahead, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_LEVELS:
            raise InputError(f"codec {name}: {what} = {value!r} is no number from {least} to {MOST_LEVELS}")
    with errors_named(f"codec {name}"):
        version = codec.version()
    if not isinstance(version, str):
        raise InputError(f"codec {name}: its version is a {type(version).__name__}, not text")


def digest(*parts: object) -> str:
    """Of settings, for a codec's version."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _line(error: BaseException) -> str:
    return one_line(error) or type(error).__name__
