"""Adaptive block-wise JSCC: complexity, allocation, a coder per ratio, one frame, one power pool."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, Uniform
from jscc_sim.blocks import BlockGrid, reassemble, split
from jscc_sim.channels import Channel, Equalised
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.coding.ratio_map import decode_map, encode_map
from jscc_sim.complexity import ComplexityEstimator, Variance, features
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.nn.bank import Latents
from jscc_sim.systems import tables
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import ChannelProbe, Stopwatch, own_draws
from jscc_sim.systems.candidates import Candidate, CandidateTest, FittedAllocation, fit_allocation, tried
from jscc_sim.units import RatioSet
from jscc_sim.zoo import Zoo

SENDER_DRAWS = 2
ORACLE_DRAWS = 16

JUDGING = 2
"""Draws that judge a frame, for each one that made it."""


@dataclass(frozen=True, eq=False)
class FramePlan:
    """What a sender settles before it codes. zoo: the one of the family that codes; index: [N] ratio of
    each block; expected: the sum of their errors that the sender expects, 0 where it predicts nothing;
    latents: what it codes to, where that was tried."""

    blocks: NDArray[np.uint8]
    grid: BlockGrid
    sender_snr_db: float
    zoo: Zoo
    index: NDArray[np.int64]
    header_uses: int
    expected: float
    latents: Latents | None = None


@dataclass(frozen=True, eq=False)
class RatioMap:
    """The fields of a header that are block JSCC's own. index: [N] ratio of each block, row by row."""

    grid: BlockGrid
    ratios: RatioSet
    index: NDArray[np.int64]

    def bits(self) -> Bits:
        """As the header holds them. Raises InputError for what is no ratio."""
        return encode_map(self.index.reshape(self.grid.rows, self.grid.columns), len(self.ratios))

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""
        return self.ratios.spent(self.index)

    @classmethod
    def read(cls, header: FrameHeader, ratios: RatioSet) -> RatioMap:
        """Of a received header. Raises ImpossibleFrameError."""
        grid = BlockGrid(header.height, header.width)
        try:
            index = decode_map(header.fields, grid.rows, grid.columns, len(ratios)).reshape(-1)
        except InputError as error:
            raise ImpossibleFrameError(f"impossible ratio map: {error}") from None
        return cls(grid, ratios, index)


@dataclass(frozen=True)
class BlockJSCC(AnalogLink[RatioMap]):
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
            ldpc.prepare()

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits. Where planning needs the networks, the uniform policy stands in."""
        quick = set(self.policy.needs) <= {"score", "predicted_mse"}
        planner = self if quick else replace(self, policy=Uniform())
        request = self.request(picture, budget, belief)  # a picture of few rows is many blocks
        blocks, grid = split(picture)
        planner._candidates(blocks, grid, request, *planner._described(blocks))

    @property
    def name(self) -> str:
        """The zoo's."""
        return f"zoo {self.zoo.name}"

    @property
    def system_id(self) -> int:
        """The zoo's; a frame coded by its companion has that one's."""
        return self.zoo.id

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[RatioMap]:
        """See AnalogLink.payload."""
        plan = self._plan(picture, request, watch)
        with watch.stage("encode"):
            latents = plan.latents
            if latents is None:
                latents = plan.zoo.bank.encode(plan.blocks, plan.grid, plan.index, plan.sender_snr_db)
        fields = RatioMap(plan.grid, self.ratios, plan.index)
        return Payload(latents, fields, plan.zoo.id, plan.index, plan.zoo.name)

    def plan(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> FramePlan:
        """The part of `encode` that allocates. The networks are needed by policies that try them, and where
        the coders of a family promise about the same. Raises BudgetError if no frame fits."""
        return self._plan(picture, self.request(picture, budget, belief, csit), Stopwatch())

    def _plan(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> FramePlan:
        belief, csit = request.belief, request.csit
        with watch.stage("complexity"):
            blocks, grid = split(picture)
            score, described = self._described(blocks)
        with watch.stage("allocation"):
            candidates = self._candidates(blocks, grid, request, score, described)
            probe = own_draws(belief) if csit is None else csit
            test = CandidateTest(blocks, grid, request.sender_snr_db, probe, self.equaliser)
            steady = csit is not None or len(belief.effective_snrs_db()) == 1
            zoo, known, found = test.best(candidates, steady)
            if self._simulates:
                draws = SENDER_DRAWS if csit is None else ORACLE_DRAWS
                simulation = test.simulation(zoo, draws, draws * JUDGING)
                measured = simulation.tables(known, found.index, found.header_uses)
                others = [
                    self._fit(policy, zoo, measured, grid, request) for policy in (self.policy, Uniform())
                ]
                several = {fitted.index.tobytes(): fitted for fitted in (found, *others)}.values()
                _, found = min((tried(simulation, fitted) for fitted in several), key=lambda one: one[0])
        settled = found.index, found.header_uses, found.expected, found.latents
        return FramePlan(blocks, grid, request.sender_snr_db, zoo, *settled)

    def _described(self, blocks: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """[N] complexity, and [N, 8] features where something is predicted from them."""
        predicting = self._simulates or "predicted_mse" in self.policy.needs or len(self.zoo.family) > 1
        return self.estimator.score(blocks), features(blocks) if predicting else None

    def _candidates(
        self,
        blocks: NDArray[np.uint8],
        grid: BlockGrid,
        request: FrameRequest,
        score: NDArray[np.float64],
        described: NDArray[np.float64] | None,
    ) -> list[Candidate]:
        """A frame by each coder of the family. Raises BudgetError if none fits."""
        policy = Lagrangian() if self._simulates else self.policy
        candidates = []
        for zoo in self.zoo.family:
            known = BlockStatistics(score, columns=grid.columns if zoo.sees_neighbours else None)
            if described is not None:
                known = tables.predicted(
                    zoo.predictor,
                    known,
                    described,
                    zoo.ratios,
                    request.sender_snr_db,
                    request.belief,
                    request.budget,
                )
            candidates.append(Candidate(zoo, known, self._fit(policy, zoo, known, grid, request)))
        return candidates

    def fields(self, header: FrameHeader) -> RatioMap:
        """See AnalogLink.fields."""
        return RatioMap.read(header, self.zoo_of(header.system_id).ratios)

    def picture(self, heard: Equalised, header: FrameHeader, fields: RatioMap, watch: Stopwatch) -> Picture:
        """See AnalogLink.picture."""
        with watch.stage("decode"):
            bank = self.zoo_of(header.system_id).bank
            blocks = bank.decode(heard, header.gain, fields.grid, fields.index, header.sender_snr_db)
        with watch.stage("reassembly"):
            return reassemble(blocks, fields.grid)

    def check_header(self, header: FrameHeader) -> None:
        """See AnalogLink.check_header. Every zoo of the family will do."""
        if header.system_id not in {zoo.id for zoo in self.zoo.family}:
            super().check_header(header)

    def zoo_of(self, zoo_id: int) -> Zoo:
        """The one of the family that a header names."""
        return next(zoo for zoo in self.zoo.family if zoo.id == zoo_id)

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
        request: FrameRequest,
    ) -> FittedAllocation:
        """See candidates.fit_allocation."""

        def header_uses(index: NDArray[np.int64]) -> int:
            own = RatioMap(grid, self.ratios, index)
            return 0 if self.genie else request.header_uses(len(own.bits()))

        return fit_allocation(policy, zoo, known, grid, request.budget, header_uses)
