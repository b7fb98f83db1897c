"""Adaptive block-wise JSCC: complexity, allocation, a coder per ratio, one frame, one power pool."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from jscc_sim import frame as framing
from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, Uniform, total_error
from jscc_sim.blocks import Grid, reassemble, split
from jscc_sim.channels import Channel, Received, equalise
from jscc_sim.coding import ldpc
from jscc_sim.complexity import ComplexityEstimator, Variance, features
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.images import Picture
from jscc_sim.nn.bank import Latents
from jscc_sim.systems import tables
from jscc_sim.systems.base import Frame, LinkSystem, Reception, Stopwatch, Trial, own_draws
from jscc_sim.systems.planning import plan_frame
from jscc_sim.units import RatioSet
from jscc_sim.zoo import Zoo

SENDER_DRAWS = 2
ORACLE_DRAWS = 16


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sender settles before it codes. zoo: the one of the family that codes; index: [N] ratio of
    each block."""

    blocks: NDArray[np.uint8]
    grid: Grid
    sender_snr_db: float
    zoo: Zoo
    index: NDArray[np.int64]
    header_uses: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class BlockJSCC(LinkSystem):
    """The project's own system. genie: side information free and error-free, for comparison only."""

    zoo: Zoo
    policy: AllocationPolicy = field(default_factory=Lagrangian)
    estimator: ComplexityEstimator = field(default_factory=Variance)
    equaliser: str = "mmse"
    genie: bool = False

    @property
    def realisable(self) -> bool:  # type: ignore[override]
        """False for a policy that knows what no sender can."""
        return self.policy.realisable

    @property
    def foresees(self) -> bool:  # type: ignore[override]
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

    def rehearse(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.rehearse. Where planning needs the networks, the uniform policy stands in."""
        quick = set(self.policy.needs) <= {"score", "predicted_mse"}
        planner = self if quick else replace(self, policy=Uniform())
        planner.plan(picture, budget, belief)

    def encode(self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None) -> Frame:
        """See LinkSystem.encode."""
        plan = self.plan(picture, budget, belief, foresight)
        grid, index, sender_snr_db, header_uses = plan.grid, plan.index, plan.sender_snr_db, plan.header_uses
        watch = Stopwatch()
        with watch.stage("encode"):
            latents = plan.zoo.bank.encode(plan.blocks, grid, index, sender_snr_db)
            gain = pool_gain(latents)
        with watch.stage("frame"):
            header = framing.FrameHeader(
                grid.height, grid.width, plan.zoo.id, framing.quantise_gain(gain), sender_snr_db, index
            )
            payload = (latents * np.float32(gain)).astype(np.complex64)
            if self.genie:
                symbols = payload
            else:
                front = framing.encode_header(header, self.ratios, belief.dependable_snr_db())
                symbols = np.concatenate([front, payload])
        if len(symbols) != header_uses + len(payload) or len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        seconds = {**plan.seconds, **watch.seconds}
        return Frame(symbols, header_uses, grid.height, grid.width, header, index, seconds, plan.zoo.name)

    def plan(self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None) -> Plan:
        """The part of `encode` that allocates. The networks are needed by policies alone that try them.
        Raises BudgetError if no frame fits."""
        watch = Stopwatch()
        with watch.stage("complexity"):
            blocks, grid = split(picture)
            score = self.estimator.score(blocks)
            predicting = "predicted_mse" in self.policy.needs or len(self.zoo.family) > 1
            described = features(blocks) if predicting else None
        with watch.stage("allocation"):
            sender_snr_db = framing.quantise_snr_db(belief.snr_db)
            tried = bool({"sender_measured_mse", "expected_mse"} & set(self.policy.needs))
            zoo, index, header_uses = self.zoo, None, 0
            if described is not None:
                judge = Lagrangian() if tried else self.policy
                zoo, index, header_uses = self._choose(
                    judge, score, described, grid, sender_snr_db, budget, belief
                )
            if tried:
                trial = own_draws(belief) if foresight is None else foresight
                draws = SENDER_DRAWS if foresight is None else ORACLE_DRAWS
                known = tables.measured(
                    zoo.bank, score, blocks, grid, sender_snr_db, budget, trial, draws, self.equaliser
                )
                index, header_uses = self._fit(self.policy, known, grid, budget, belief)
            elif index is None:
                index, header_uses = self._fit(self.policy, BlockStatistics(score), grid, budget, belief)
        return Plan(blocks, grid, sender_snr_db, zoo, index, header_uses, watch.seconds)

    def decode(self, received: Received, genie: framing.FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. genie: the header, where the side information is a genie's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = genie, 0
            if header is None:
                decoded = framing.decode_header(equalised, lambda zoo_id: self.zoo_of(zoo_id).ratios)
                header, start = decoded.header, decoded.uses
        with watch.stage("decode"):
            grid = Grid(header.height, header.width)
            payload = equalised.part(start, start + self.ratios.spent(header.index))
            bank = self.zoo_of(header.zoo_id).bank
            blocks = bank.decode(payload, header.gain, grid, header.index, header.sender_snr_db)
        with watch.stage("reassembly"):
            picture = reassemble(blocks, grid)
        return Reception(picture, watch.seconds)

    def zoo_of(self, zoo_id: int) -> Zoo:
        """The one of the family that a header names."""
        for zoo in self.zoo.family:
            if zoo.id == zoo_id:
                return zoo
        raise InputError(f"the frame was made with zoo id {zoo_id}; zoo {self.zoo.name} has {self.zoo.id}")

    def _choose(
        self,
        judge: AllocationPolicy,
        score: NDArray[np.float64],
        described: NDArray[np.float64],
        grid: Grid,
        sender_snr_db: float,
        budget: int,
        belief: Channel,
    ) -> tuple[Zoo, NDArray[np.int64], int]:
        """The zoo of the family that is predicted to do best, and the judge's plan for it."""
        found = []
        for zoo in self.zoo.family:
            known = tables.predicted(
                zoo.predictor, self.ratios, score, described, sender_snr_db, belief, budget
            )
            index, header_uses = self._fit(judge, known, grid, budget, belief)
            found.append((total_error(known, index, self.ratios), zoo, index, header_uses))
        _, zoo, index, header_uses = min(found, key=lambda entry: entry[0])
        return zoo, index, header_uses

    def _fit(
        self, policy: AllocationPolicy, known: BlockStatistics, grid: Grid, budget: int, belief: Channel
    ) -> tuple[NDArray[np.int64], int]:
        """A policy's allocation, and the uses of its header."""
        snr_db = belief.dependable_snr_db()

        def header_uses(index: NDArray[np.int64]) -> int:
            if self.genie:
                return 0
            header = framing.FrameHeader(grid.height, grid.width, self.zoo.id, 1.0, belief.snr_db, index)
            return framing.header_uses(header, self.ratios, snr_db)

        most = 0 if self.genie else framing.most_header_uses(grid.height, grid.width, self.ratios, snr_db)

        def plan(tried: AllocationPolicy) -> tuple[NDArray[np.int64], int]:
            try:
                return plan_frame(
                    lambda payload: tried.allocate(known, self.ratios, payload),
                    header_uses,
                    most,
                    self.ratios,
                    budget,
                )
            except BudgetError as error:
                raise BudgetError(f"{error} ({grid.height}x{grid.width} pixels)") from None

        chosen = plan(policy)
        if not policy.beats_uniform:
            return chosen
        even = plan(Uniform())
        errors = [total_error(known, index, self.ratios) for index, _ in (chosen, even)]
        return chosen if errors[0] < errors[1] else even


def pool_gain(latents: Latents) -> float:
    """The factor that brings a payload's mean power to 1; 1 for a payload without energy."""
    energy = float(np.square(np.abs(latents.astype(np.complex128))).sum())
    return math.sqrt(len(latents) / energy) if energy > 0 else 1.0
