"""What a metric of picture quality is."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, final

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.plugins import errors_named

_COLUMN = re.compile("[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Metric(ABC):
    """How good a reception is, as one number. A plug-in defines `_measure`, `column` and `label`.

    column: of tables, lower-case letters, digits and _; label: of an axis, with the unit;
    higher_is_better: False for a distance.
    """

    column: ClassVar[str]
    label: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    @final
    def __call__(self, picture: Picture, reference: Picture) -> float | None:
        """picture, reference: [H, W, 3] uint8, sRGB. None where the metric is not defined, say for pictures
        that are too small. Raises InputError where the plug-in fails, or returns anything else than a finite
        number or None."""
        name = type(self).__name__
        if picture.shape != reference.shape:
            raise ValueError(f"pictures of shapes {picture.shape} and {reference.shape} cannot be compared")
        with errors_named(f"metric {name}", through=(InputError,)):
            value = self._measure(picture.copy(), reference.copy())
            if value is None:
                return None
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise InputError(f"metric {name} returned {value!r}, which is no finite number")
            return float(value)

    @abstractmethod
    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        """The number of two pictures of equal shape."""


def check_column(metric: Metric) -> None:
    """Raises InputError for a metric that says no usable name of its column, or no label."""
    name = type(metric).__name__
    column, label = getattr(metric, "column", None), getattr(metric, "label", None)
    if not isinstance(column, str) or not _COLUMN.fullmatch(column):
        raise InputError(
            f"metric {name}: column {column!r} is no name of up to 40 lower-case letters, digits and _"
        )
    if not isinstance(label, str) or not label:
        raise InputError(f"metric {name} has no label for its axis")
    if not label.isprintable():
        raise InputError(f"metric {name}: label {label!r} is no line that can be printed")
