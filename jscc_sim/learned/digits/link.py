"""The digit coder's latents as analog symbols: the network of the codec `digits`, without its bits.

A payload: as many latents of each tile as fit, those of largest variance, two reals in a use. Each is scaled
by its prior's variance to the power -1/4, as in SoftCast: the level's gains have made errors in all of them
about equally harmful. The receiver's estimate is linear least squares with the prior's moments; what was not
sent is the prior's mean. The sender decodes some tiles under noise of its own at each of a few levels, and
takes the best. The header's own fields: latents per tile, level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import AWGN, Equalised, EqualisedReals, equalise, symbols_of
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.errors import ImpossibleFrameError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.learned.digits.codec import LEVELS, load_coder, prior_at, share
from jscc_sim.nn.bank import pool_gain
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import Stopwatch, own_stream
from jscc_sim.systems.payload import read_fields, write_fields

if TYPE_CHECKING:
    from jscc_sim.learned.digits.network import DigitCoder

Array = NDArray[np.float64]

DIGITS = "digits"
FIELDS = COUNT_BITS, LEVEL_BITS = 6, 6

TRIED_LEVELS = range(0, LEVELS, 7)
TRIED_TILES = 500
_LARGEST = 1e3  # of a latent, whatever arrives: none is a tenth of that


@dataclass(frozen=True)
class TileLatents:
    """What a receiver must know. tiles: of the picture; count: latents sent of each."""

    tiles: int
    count: int
    level: int

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""
        return -(-self.tiles * self.count // 2)

    def bits(self) -> Bits:
        """As the header holds them."""
        return write_fields((self.count, self.level), FIELDS)


@dataclass(frozen=True, eq=False)
class Scaling:
    """How the latents of a level travel. chosen: [count] which of them; factors: their amplitudes before the
    gain; means: [latents] and variances: [count] of the prior."""

    chosen: NDArray[np.int64]
    factors: Array
    means: Array
    variances: Array

    def sent(self, latents: Array) -> Array:
        """[N, latents] -> the reals of the payload before the gain, an even number of them."""
        scaled = ((latents - self.means)[:, self.chosen] * self.factors).reshape(-1)
        return np.pad(scaled, (0, len(scaled) % 2))

    def heard(self, part: Equalised, gain: float, tiles: int) -> Array:
        """The estimate [tiles, latents] from the payload's uses."""
        reals = EqualisedReals.of(part, gain)
        values, strength, noise = (
            x[: tiles * len(self.chosen)].reshape(tiles, -1)
            for x in (reals.values, reals.gain, reals.noise_variance)
        )
        amplitude = strength * self.factors
        shrunk = values * amplitude * self.variances / (amplitude**2 * self.variances + noise)
        found = np.tile(self.means, (tiles, 1))
        found[:, self.chosen] += np.clip(shrunk, -_LARGEST, _LARGEST)
        return found


@dataclass(frozen=True)
class DigitLink(AnalogLink[TileLatents]):
    """model: folder of the weights, the released ones by default. equaliser: see channels; header_margin_db:
    see coding.protection.Protection."""

    format: ClassVar[int] = 3
    name: ClassVar[str] = DIGITS
    own_bits: ClassVar[int] = sum(FIELDS)

    model: str = field(default="", repr=False)
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.prepare()
        _ = self._coder

    def version(self) -> str:
        """See System.version."""
        return f"{self._weights.identity} {list(TRIED_LEVELS)}"

    @property
    def system_id(self) -> int:
        """Of the weights."""
        return self._weights.id

    def least_uses(self, height: int, width: int) -> int:
        """One latent of each tile."""
        return -(-_tiles(height, width) // 2)

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[TileLatents]:
        """See AnalogLink.payload."""
        from jscc_sim.learned.digits.network import latents_of, split

        number = _tiles(request.height, request.width)
        count, snr_db = min(self._latents, 2 * self.room(request) // number), request.belief.snr_db
        with watch.stage("allocation"):
            tiles = split(picture)
            some = tiles[:: -(-number // TRIED_TILES)]
            level = min(TRIED_LEVELS, key=lambda level: self._trial_error(some, level, count, snr_db))
        with watch.stage("encode"):
            reals = self._scaling(level, count).sent(latents_of(self._coder, tiles, share(level)))
        return Payload(symbols_of(reals), TileLatents(number, count, level))

    def fields(self, header: FrameHeader) -> TileLatents:
        """See AnalogLink.fields."""
        count, level = read_fields(header.fields, FIELDS)
        if not 0 < count <= self._latents:
            raise ImpossibleFrameError(f"{count} latents per tile; there are {self._latents}")
        return TileLatents(_tiles(header.height, header.width), count, level)

    def picture(
        self, heard: Equalised, header: FrameHeader, fields: TileLatents, watch: Stopwatch
    ) -> Picture:
        """See AnalogLink.picture."""
        from jscc_sim.learned.digits.network import join, tiles_of

        with watch.stage("decode"):
            scaling = self._scaling(fields.level, fields.count)
            latents = scaling.heard(heard, header.gain, fields.tiles)
            tiles = tiles_of(self._coder, latents, share(fields.level))
            return join(tiles, header.height, header.width)

    @cached_property
    def _weights(self) -> Checkpoint:
        return Checkpoint.find(DIGITS, self.model)

    @cached_property
    def _coder(self) -> DigitCoder:
        return load_coder(self._weights)

    @property
    def _latents(self) -> int:
        return self._coder.architecture.latents

    def _scaling(self, level: int, count: int) -> Scaling:
        prior = prior_at(self._weights, level)
        chosen = np.sort(np.argsort(-prior.variance, kind="stable")[:count])
        variance = prior.variance[chosen]
        return Scaling(chosen, variance**-0.25, prior.mean, variance)

    def _trial_error(self, tiles: NDArray[np.float32], level: int, count: int, snr_db: float) -> float:
        """Mean squared error of tiles [N, 64] under noise of the sender's own."""
        from jscc_sim.learned.digits.network import latents_of, tiles_of

        scaling = self._scaling(level, count)
        symbols = symbols_of(scaling.sent(latents_of(self._coder, tiles, share(level))))
        gain = pool_gain(symbols)
        received = AWGN(snr_db)((gain * symbols).astype(np.complex64), own_stream(0))
        heard = scaling.heard(equalise(received, self.equaliser), gain, len(tiles))
        return float(np.square(tiles_of(self._coder, heard, share(level)) - tiles).mean())


def _tiles(height: int, width: int) -> int:
    """Of a picture."""
    from jscc_sim.learned.digits.network import tile_grid

    return math.prod(tile_grid(height, width))
