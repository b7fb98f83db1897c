"""The digit coder's latents as analog symbols: the network of the codec `digits`, without its bits.

The frame: a header (size, weights, latents per tile, level, gain; see coding/protection.py), then as many
latents of each tile as fit, those of largest variance, two reals in a use. Each is scaled by its prior's
variance to the power -1/4, as in SoftCast: the level's gains have made errors in all of them about
equally harmful. They go in a fixed random order, which spreads fades over the picture. The
receiver's estimate is linear least squares with the prior's moments; what was not sent is the prior's
mean. The sender decodes some tiles under noise of its own at each of a few levels, and takes the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import (
    AWGN,
    LEAST_VARIANCE,
    Channel,
    Equalised,
    Received,
    equalise,
    reals_of,
    symbols_of,
)
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.codecs.digits import LEVELS, load_coder, prior_at, share
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.coding.protection import Protection, recover
from jscc_sim.errors import BudgetError, ImpossibleFrameError
from jscc_sim.header import GAIN_BITS, FrameHeader, gain_code, gain_of
from jscc_sim.images import Picture
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch, own_stream
from jscc_sim.systems.payload import (
    SIDE_BITS,
    check_sides,
    header_protection,
    part_of,
    read_fields,
    unit_power_gain,
    write_fields,
)

if TYPE_CHECKING:
    from jscc_sim.nn.digits import DigitCoder

Array = NDArray[np.float64]

DIGITS = "digits"
MODEL_BITS, COUNT_BITS, LEVEL_BITS = 16, 6, 6
FIELDS = (SIDE_BITS, SIDE_BITS, MODEL_BITS, COUNT_BITS, LEVEL_BITS, GAIN_BITS)
HEADER_BITS = sum(FIELDS)

TRIED_LEVELS = range(0, LEVELS, 7)
TRIED_TILES = 500
_ORDER_SEED = 2013
_LARGEST = 1e3  # of a latent, whatever arrives: none is a tenth of that


@dataclass(frozen=True)
class LatentHeader:
    """What a receiver must know. model: 16 bits of the weights' hash; count: latents per tile; gain:
    amplitude factor of the payload."""

    height: int
    width: int
    model: int
    count: int
    level: int
    gain: float

    def bits(self) -> Bits:
        """HEADER_BITS of them."""
        values = self.height, self.width, self.model, self.count, self.level, gain_code(self.gain)
        return write_fields(values, FIELDS)

    @classmethod
    def parse(cls, message: Bits) -> LatentHeader:
        """Raises ImpossibleFrameError."""
        height, width, model, count, level, gain = read_fields(message, FIELDS)
        return cls(height, width, model, count, level, gain_of(gain))


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
        return np.pad(scaled[_order(len(scaled))], (0, len(scaled) % 2))

    def heard(self, part: Equalised, gain: float, tiles: int) -> Array:
        """The estimate [tiles, latents] from the payload's uses."""
        size = tiles * len(self.chosen)
        order = _order(size)
        values, strength, noise = np.empty((3, size))
        values[order] = reals_of(part.symbols)[:size]
        strength[order] = gain * np.repeat(part.gain, 2)[:size]
        noise[order] = np.repeat(np.maximum(part.noise_variance, LEAST_VARIANCE), 2)[:size] / 2
        values, strength, noise = (x.reshape(tiles, -1) for x in (values, strength, noise))
        amplitude = strength * self.factors
        shrunk = values * amplitude * self.variances / (amplitude**2 * self.variances + noise)
        found = np.tile(self.means, (tiles, 1))
        found[:, self.chosen] += np.clip(shrunk, -_LARGEST, _LARGEST)
        return found


@dataclass(frozen=True)
class DigitLink(LinkSystem):
    """model: folder of the weights, the released ones by default. equaliser: see channels; header_margin_db:
    see coding.protection.Protection."""

    format: ClassVar[int] = 2

    model: str = field(default="", repr=False)
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.preload()
        _ = self._coder

    def version(self) -> str:
        """See System.version."""
        return f"{self._weights.identity} {HEADER_BITS} {list(TRIED_LEVELS)}"

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self._count(picture, budget, belief)

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        from jscc_sim.nn.digits import latents_of, split

        count = self._count(picture, budget, belief)
        height, width = picture.shape[:2]
        watch = Stopwatch()
        with watch.stage("allocation"):
            tiles = split(picture)
            some = tiles[:: -(-len(tiles) // TRIED_TILES)]
            level = min(TRIED_LEVELS, key=lambda level: self._trial_error(some, level, count, belief.snr_db))
        with watch.stage("encode"):
            reals = self._scaling(level, count).sent(latents_of(self._coder, tiles, share(level)))
            gain = unit_power_gain(reals)
        with watch.stage("frame"):
            header = LatentHeader(height, width, self._weights.id, count, level, gain)
            front = self._protection(picture, budget, belief).protect(header.bits())
            symbols = np.concatenate([front, symbols_of(gain * reals)])
        return Frame(symbols, len(front), height, width, seconds=watch.seconds)

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode."""
        from jscc_sim.nn.digits import join, tile_grid, tiles_of

        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            message, start = recover(equalised)
            header = LatentHeader.parse(message)
            if header.model != self._weights.id:
                raise ImpossibleFrameError(
                    f"the frame is of the weights {header.model:04x}, not {self._weights.id:04x} ({DIGITS})"
                )
            if not 0 < header.count <= self._latents:
                raise ImpossibleFrameError(f"{header.count} latents per tile; there are {self._latents}")
            rows, columns = tile_grid(header.height, header.width)
            uses = -(-rows * columns * header.count // 2)
            part = part_of(equalised, start, uses)
        with watch.stage("decode"):
            scaling = self._scaling(header.level, header.count)
            latents = scaling.heard(part, header.gain, rows * columns)
            tiles = tiles_of(self._coder, latents, share(header.level))
            picture = join(tiles, header.height, header.width)
        return Reception(picture, watch.seconds)

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
        from jscc_sim.nn.digits import latents_of, tiles_of

        scaling = self._scaling(level, count)
        reals = scaling.sent(latents_of(self._coder, tiles, share(level)))
        gain = unit_power_gain(reals)
        received = AWGN(snr_db)(symbols_of(gain * reals), own_stream(0))
        heard = scaling.heard(equalise(received, self.equaliser), gain, len(tiles))
        return float(np.square(tiles_of(self._coder, heard, share(level)) - tiles).mean())

    def _protection(self, picture: Picture, budget: int, belief: Channel) -> Protection:
        """A latent of each tile is the least payload."""
        from jscc_sim.nn.digits import tile_grid

        least = -(-math.prod(tile_grid(*picture.shape[:2])) // 2)
        return header_protection(belief, budget, self.header_margin_db, least)

    def _count(self, picture: Picture, budget: int, belief: Channel) -> int:
        """Latents per tile that fit."""
        from jscc_sim.nn.digits import tile_grid

        height, width = picture.shape[:2]
        check_sides(height, width)
        rows, columns = tile_grid(height, width)
        front = self._protection(picture, budget, belief).uses(HEADER_BITS)
        count = min(self._latents, 2 * max(0, budget - front) // (rows * columns))
        if count < 1:
            least = front + -(-rows * columns // 2)
            raise BudgetError(
                f"budget of {budget} uses is below the {least} uses of the header and of one latent for each "
                f"of {rows * columns} tiles"
            )
        return count


def _order(count: int) -> NDArray[np.int64]:
    """[count] the order of sending."""
    return np.random.default_rng(_ORDER_SEED).permutation(count)
