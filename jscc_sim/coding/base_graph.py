"""The graph of a 5G LDPC code of one length and rate, and its encoder (3GPP TS 38.212, section 5.3.2).

A base graph says which columns each row checks, and how far each is rotated. Lifted by Z, a column is Z bits
and a row Z checks. Columns of information bits come first; every row beyond brings a column of parity bits,
its last, and makes it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits
from jscc_sim.errors import InputError, one_line

_PACKAGE, _TABLE = "sionna-no-rt", "sionna/phy/fec/ldpc/codes/5G_bg{}.csv"
"""Tables 5.3.2-2 and 5.3.2-3 in Sionna's package: read as a file, for to import it takes seconds."""

_EDGES = {1: 316, 2: 197}

_LIFTINGS = [[odd << power for power in range(9) if 2 <= odd << power <= 384] for odd in range(1, 16, 2)]
"""Table 5.3.2-1: the Z of each set of rotations."""

CORE = 4
"""Rows whose parity bits depend on each other."""

PUNCTURED = 2
"""Columns that are never sent."""


@dataclass(frozen=True, eq=False)
class LiftedGraph:
    """k: information bits; lifting: Z; information: columns of them, filled up with zeros; starts: [rows + 1]
    where each row's edges begin among all E; places: [E, Z] for each edge the bits that its Z checks hold."""

    k: int
    lifting: int
    information: int
    starts: NDArray[np.int64]
    places: NDArray[np.int32]

    @property
    def rows(self) -> int:
        """Of the base graph, as many as there are columns of parity bits."""
        return len(self.starts) - 1

    @property
    def fillers(self) -> slice:
        """Where a word holds zeros that are not sent."""
        return slice(self.k, self.information * self.lifting)

    @property
    def bits(self) -> int:
        """Of a word."""
        return (self.information + self.rows) * self.lifting

    def silence(self) -> NDArray[np.float32]:
        """[E, Z] messages of checks that have said nothing yet."""
        return np.zeros(self.places.shape, dtype=np.float32)

    def sent(self, n: int) -> NDArray[np.int64]:
        """[n] which bits of a word are on the air: all but punctured ones and fillers, from the start."""
        return np.delete(np.arange(self.bits), self.fillers)[PUNCTURED * self.lifting :][:n]

    def encode(self, bits: Bits) -> Bits:
        """[B, k] -> [B, self.bits] words."""
        word = np.zeros((len(bits), self.bits), dtype=np.uint8)
        word[:, : self.k] = bits
        # Added up, the core's rows leave of its parity columns the first alone, as its middle row rotates it.
        first = range(self.fillers.stop, self.fillers.stop + self.lifting)
        middle = [places for row in (1, 2) for places in self._edges(row) if places[0] in first]
        word[:, middle[0]] = np.bitwise_xor.reduce([self._sums(word, row) for row in range(CORE)])
        for row in (*range(CORE - 1), *range(CORE, self.rows)):
            word[:, self._edges(row)[-1]] = self._sums(word, row)
        return word

    def _edges(self, row: int) -> NDArray[np.int32]:
        return self.places[self.starts[row] : self.starts[row + 1]]

    def _sums(self, word: Bits, row: int) -> Bits:
        """[B, Z] of the bits that the row's checks hold, so far."""
        return np.asarray(np.bitwise_xor.reduce(word[:, self._edges(row)], axis=1))


@lru_cache(maxsize=64)
def lifted_graph(k: int, n: int) -> LiftedGraph:
    """For k information bits, with the rows that n coded bits need. Which of the two base graphs: section
    6.2.2."""
    number = 2 if k <= 292 or (k <= 3824 and k <= 0.67 * n) or k <= 0.25 * n else 1
    information = {1: 22, 2: 10}[number]
    filled = 22 if number == 1 else 10 if k > 640 else 9 if k > 560 else 8 if k > 192 else 6
    lifting, rotations = min(
        (z, index) for index, liftings in enumerate(_LIFTINGS) for z in liftings if filled * z >= k
    )
    rows, columns, shifts = _edges_of(number, rotations)
    parity = n + PUNCTURED * lifting - k
    kept = rows < max(-(-parity // lifting), CORE)
    turned = (np.arange(lifting) + shifts[kept, None]) % lifting
    return LiftedGraph(
        k,
        lifting,
        information,
        np.concatenate([[0], np.cumsum(np.bincount(rows[kept]))]),
        (columns[kept, None] * lifting + turned).astype(np.int32),
    )


@lru_cache(maxsize=16)
def _edges_of(number: int, rotations: int) -> NDArray[np.int64]:
    """[3, E] row, column and rotation of each edge."""
    name = _TABLE.format(number)
    edges: list[tuple[int, int, int]] = []
    try:
        with open(str(distribution(_PACKAGE).locate_file(name)), newline="") as file:
            for row, column, *values in list(csv.reader(file, delimiter=";"))[2:]:
                edges.append((int(row) if row else edges[-1][0], int(column), int(values[rotations])))
    except (OSError, PackageNotFoundError, ValueError, IndexError) as error:
        raise InputError(f"{name} of the package {_PACKAGE} cannot be read: {one_line(error)}") from None
    if len(edges) != _EDGES[number]:
        found = f"has {len(edges)} edges, not the {_EDGES[number]} of TS 38.212"
        raise InputError(f"{name} of the package {_PACKAGE} {found}")
    return np.array(edges).T
