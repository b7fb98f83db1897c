"""Adaptive block-wise JSCC: complexity, allocation, a coder per ratio, one frame, one power pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jscc_sim import header as framing
from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, Uniform, total_error
from jscc_sim.blocks import BlockGrid, reassemble, split
from jscc_sim.channels import Channel, Received, equalise
from jscc_sim.coding import ldpc
from jscc_sim.coding.interleaving import deinterleave, interleave
from jscc_sim.complexity import ComplexityEstimator, Variance, features
from jscc_sim.errors import BudgetError, ImpossibleFrameError
from jscc_sim.images import Picture
from jscc_sim.nn.bank import pool_gain
from jscc_sim.systems import tables
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch, own_draws
from jscc_sim.systems.payload import header_protection
from jscc_sim.systems.planning import plan_frame
from jscc_sim.systems.simulation import SenderSimulation
from jscc_sim.units import RatioSet, db_to_power
from jscc_sim.zoo import Zoo, load_zoo, released_zoos

SENDER_DRAWS = 2
ORACLE_DRAWS = 16

JUDGING = 2
"""Draws that judge a frame, for each one that made it."""

CLOSE_DB = 1.5
"""Coders of a family whose predicted errors differ by less are tried. On validation pictures the prediction
alone loses up to 0.33 dB and trying within 1 dB nothing, see experiments/companion_choice.py; the rest is
reserve."""


@dataclass(frozen=True, eq=False)
class FramePlan:
    """What a sender settles before it codes. zoo: the one of the family that codes; index: [N] ratio of
    each block; expected: the sum of their errors that the sender expects, 0 where it predicts nothing."""

    blocks: NDArray[np.uint8]
    grid: BlockGrid
    sender_snr_db: float
    zoo: Zoo
    index: NDArray[np.int64]
    header_uses: int
    expected: float
    seconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Fitted:
    """An allocation [N] that fits, the uses of its header, and the sum of the errors to be expected."""

    index: NDArray[np.int64]
    header_uses: int
    expected: float


class Candidate(NamedTuple):
    """A frame that a sender may send: the coder, what is known of the blocks with it, the allocation."""

    zoo: Zoo
    known: BlockStatistics
    fitted: Fitted


@dataclass(frozen=True, eq=False)
class Trying:
    """A picture to be sent, and a channel to try its frames on."""

    blocks: NDArray[np.uint8]
    grid: BlockGrid
    sender_snr_db: float
    probe: ChannelProbe
    equaliser: str

    def simulation(self, zoo: Zoo, draws: int, judging: int) -> SenderSimulation:
        """With a zoo's coders."""
        known = (zoo.bank, self.blocks, self.grid, self.sender_snr_db, self.probe)
        return SenderSimulation(*known, draws, judging, self.equaliser)

    def better(self, candidates: Sequence[Candidate], steady: bool) -> Candidate:
        """The one that promises less error; where another promises almost as little, both are tried. steady:
        one draw of the channel tells of all. Of fades, which differ, the promises are means."""
        least = min(candidate.fitted.expected for candidate in candidates)
        if not steady:
            return min(candidates, key=lambda candidate: candidate.fitted.expected)
        close = [c for c in candidates if c.fitted.expected <= least * db_to_power(CLOSE_DB)]
        if len(close) == 1:
            return close[0]
        return min(
            close,
            key=lambda c: self.simulation(c.zoo, 0, 1).frame_error(c.fitted.index, c.fitted.header_uses),
        )


@dataclass(frozen=True)
class BlockJSCC(LinkSystem):
    """The project's own system. genie: side information free and error-free, for comparison only;
    header_margin_db: see coding.protection.Protection; most_pixels_per_use: that a frame may claim, where it
    comes from anyone."""

    format: ClassVar[int] = 2

    zoo: Zoo
    policy: AllocationPolicy = field(default_factory=Lagrangian)
    estimator: ComplexityEstimator = field(default_factory=Variance)
    equaliser: str = "mmse"
    genie: bool = False
    header_margin_db: float | None = None
    most_pixels_per_use: float = math.inf

    @property
    def realisable(self) -> bool:  # type: ignore[override]
        """False for a policy that knows what no sender can."""
        return self.policy.realisable

    @property
    def needs_csit(self) -> bool:  # type: ignore[override]
        """True for a policy that needs the expected error under the true fading."""
        return "expected_mse" in self.policy.needs

    @property
    def ratios(self) -> RatioSet:  # type: ignore[override]
        """The zoo's ratio set."""
        return self.zoo.ratios

    def prepare(self) -> None:
        """See System.prepare."""
        self.zoo.prepare(predictor="predicted_mse" in self.policy.needs)
        if not self.genie:
            ldpc.preload()

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits. Where planning needs the networks, the uniform policy stands in."""
        quick = set(self.policy.needs) <= {"score", "predicted_mse"}
        planner = self if quick else replace(self, policy=Uniform())
        blocks, grid = split(picture)
        planner._candidates(blocks, grid, budget, belief, *planner._described(blocks))

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        plan = self.plan(picture, budget, belief, csit)
        grid, index, sender_snr_db, header_uses = plan.grid, plan.index, plan.sender_snr_db, plan.header_uses
        watch = Stopwatch()
        with watch.stage("encode"):
            latents = plan.zoo.bank.encode(plan.blocks, grid, index, sender_snr_db)
            gain = pool_gain(latents)
        with watch.stage("frame"):
            header = framing.FrameHeader(
                grid.height, grid.width, plan.zoo.id, framing.quantise_gain(gain), sender_snr_db, index
            )
            payload = interleave((latents * np.float32(gain)).astype(np.complex64))
            if self.genie:
                symbols = payload
            else:
                front = framing.encode_header(
                    header, self.ratios, header_protection(belief, budget, self.header_margin_db)
                )
                symbols = np.concatenate([front, payload])
        if len(symbols) != header_uses + len(payload) or len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        seconds = {**plan.seconds, **watch.seconds}
        return Frame(symbols, header_uses, grid.height, grid.width, header, index, seconds, plan.zoo.name)

    def plan(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> FramePlan:
        """The part of `encode` that allocates. The networks are needed by policies that try them, and where
        the coders of a family promise about the same. Raises BudgetError if no frame fits."""
        watch = Stopwatch()
        with watch.stage("complexity"):
            blocks, grid = split(picture)
            score, described = self._described(blocks)
        with watch.stage("allocation"):
            candidates = self._candidates(blocks, grid, budget, belief, score, described)
            probe = own_draws(belief) if csit is None else csit
            trying = Trying(blocks, grid, framing.quantise_snr_db(belief.snr_db), probe, self.equaliser)
            steady = csit is not None or len(belief.effective_snrs_db()) == 1
            zoo, known, found = trying.better(candidates, steady)
            if self._simulates:
                draws = SENDER_DRAWS if csit is None else ORACLE_DRAWS
                simulation = trying.simulation(zoo, draws, draws * JUDGING)
                measured = simulation.tables(known, found.index, found.header_uses)
                others = [self._fit(p, zoo, measured, grid, budget, belief) for p in (self.policy, Uniform())]
                tried = {fitted.index.tobytes(): fitted for fitted in (found, *others)}.values()
                found = min(
                    tried, key=lambda fitted: simulation.frame_error(fitted.index, fitted.header_uses)
                )
        return FramePlan(
            blocks,
            grid,
            trying.sender_snr_db,
            zoo,
            found.index,
            found.header_uses,
            found.expected,
            watch.seconds,
        )

    def _described(self, blocks: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """[N] complexity, and [N, 8] features where something is predicted from them."""
        predicting = self._simulates or "predicted_mse" in self.policy.needs or len(self.zoo.family) > 1
        return self.estimator.score(blocks), features(blocks) if predicting else None

    def _candidates(
        self,
        blocks: NDArray[np.uint8],
        grid: BlockGrid,
        budget: int,
        belief: Channel,
        score: NDArray[np.float64],
        described: NDArray[np.float64] | None,
    ) -> list[Candidate]:
        """A frame by each coder of the family. Raises BudgetError if none fits."""
        sender_snr_db = framing.quantise_snr_db(belief.snr_db)
        policy = Lagrangian() if self._simulates else self.policy
        candidates = []
        for zoo in self.zoo.family:
            known = BlockStatistics(score, columns=grid.columns if zoo.sees_neighbours else None)
            if described is not None:
                known = tables.predicted(
                    zoo.predictor, known, described, zoo.ratios, sender_snr_db, belief, budget
                )
            candidates.append(Candidate(zoo, known, self._fit(policy, zoo, known, grid, budget, belief)))
        return candidates

    def decode(self, received: Received, genie: framing.FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. genie: the header, where the side information is a genie's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = genie, 0
            if header is None:
                decoded = framing.decode_header(
                    equalised, lambda zoo_id: self.zoo_of(zoo_id).ratios, self.most_pixels_per_use
                )
                header, start = decoded.header, decoded.uses
        with watch.stage("decode"):
            grid = BlockGrid(header.height, header.width)
            payload = deinterleave(equalised.part(start, start + self.ratios.spent(header.index)))
            bank = self.zoo_of(header.zoo_id).bank
            blocks = bank.decode(payload, header.gain, grid, header.index, header.sender_snr_db)
        with watch.stage("reassembly"):
            picture = reassemble(blocks, grid)
        return Reception(picture, watch.seconds)

    def zoo_of(self, zoo_id: int) -> Zoo:
        """The one of the family that a header names. Raises ImpossibleFrameError."""
        for zoo in self.zoo.family:
            if zoo.id == zoo_id:
                return zoo
        made_with = next((name for name in released_zoos() if load_zoo(name).id == zoo_id), None)
        which = f"{made_with}: use --zoo {made_with}" if made_with else "another zoo"
        raise ImpossibleFrameError(
            f"zoo {self.zoo.name} has the id {self.zoo.id}, the frame was made with zoo id {zoo_id}, {which}"
        )

    @property
    def _simulates(self) -> bool:
        """Whether the policy needs the coders, to try its frames on."""
        return bool({"sender_measured_mse", "expected_mse"} & set(self.policy.needs))

    def _fit(
        self,
        policy: AllocationPolicy,
        zoo: Zoo,
        known: BlockStatistics,
        grid: BlockGrid,
        budget: int,
        belief: Channel,
    ) -> Fitted:
        """A policy's allocation; uniform's, whose header is the shortest, where that is held to be better and
        the policy asks for it, or where the policy's leaves no room for any payload."""
        protection = header_protection(belief, budget, self.header_margin_db)

        def header_uses(index: NDArray[np.int64]) -> int:
            if self.genie:
                return 0
            header = framing.FrameHeader(grid.height, grid.width, self.zoo.id, 1.0, belief.snr_db, index)
            return framing.header_uses(header, self.ratios, protection)

        least = header_uses(np.zeros(len(grid), np.int64))

        def fitted(tried: AllocationPolicy) -> Fitted:
            try:
                index, header = plan_frame(
                    lambda payload: tried.allocate(known, zoo.ratios, payload),
                    header_uses,
                    least,
                    zoo.ratios,
                    budget,
                )
            except BudgetError as error:
                raise BudgetError(f"{error} ({grid.height}x{grid.width} pixels)") from None
            expected = 0.0 if known.mse is None else total_error(known, index, zoo.ratios)
            return Fitted(index, header, expected)

        found = fitted(policy)
        if not found.index.any():
            return fitted(Uniform())
        return min(found, fitted(Uniform()), key=lambda f: f.expected) if policy.beats_uniform else found
