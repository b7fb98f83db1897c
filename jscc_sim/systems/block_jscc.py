"""Adaptive block-wise JSCC: complexity, allocation, a coder per ratio, one frame, one power pool."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import parent_process

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jscc_sim import frame as framing
from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, Uniform, total_error
from jscc_sim.blocks import Grid, reassemble, split
from jscc_sim.channels import Channel, Received, equalise
from jscc_sim.complexity import ComplexityEstimator, Variance, features
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.images import Picture
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, Latents, block_energies
from jscc_sim.systems.base import Frame, LinkSystem, Reception, Stopwatch, Trial, own_draws
from jscc_sim.systems.planning import plan_frame
from jscc_sim.units import RatioSet
from jscc_sim.zoo import Zoo

SENDER_DRAWS = 2
ORACLE_DRAWS = 16
BACK_OFF_DB = 1.5
"""Second noise level at which a sender measures its blocks, to know what a lower gain would cost."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sender settles before it codes. index: [N] ratio of each block."""

    blocks: NDArray[np.uint8]
    grid: Grid
    sender_snr_db: float
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
    def foresees(self) -> bool:  # type: ignore[override]
        """True for a policy that needs the expected error under the true fading."""
        return "expected_mse" in self.policy.needs

    @cached_property
    def bank(self) -> Bank:
        """The zoo's coders."""
        return self.zoo.bank

    @property
    def ratios(self) -> RatioSet:
        """The zoo's ratio set."""
        return self.zoo.ratios

    def encode(self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None) -> Frame:
        """See LinkSystem.encode."""
        plan = self.plan(picture, budget, belief, foresight)
        grid, index, sender_snr_db, header_uses = plan.grid, plan.index, plan.sender_snr_db, plan.header_uses
        watch = Stopwatch()
        with watch.stage("encode"):
            latents = self.bank.encode(plan.blocks, grid, index, sender_snr_db)
            gain = pool_gain(latents)
        with watch.stage("frame"):
            header = framing.FrameHeader(
                grid.height, grid.width, self.zoo.id, framing.quantise_gain(gain), sender_snr_db, index
            )
            payload = (latents * np.float32(gain)).astype(np.complex64)
            if self.genie:
                symbols = payload
            else:
                front = framing.encode_header(header, self.ratios, belief.dependable_snr_db())
                symbols = np.concatenate([front, payload])
        if len(symbols) != header_uses + len(payload) or len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        return Frame(symbols, header_uses, header, {**plan.seconds, **watch.seconds})

    def plan(self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None) -> Plan:
        """The part of `encode` that allocates. The networks are needed by policies alone that try them.
        Raises BudgetError if no frame fits."""
        watch = Stopwatch()
        with watch.stage("complexity"):
            blocks, grid = split(picture)
            score = self.estimator.score(blocks)
            described = features(blocks) if "predicted_mse" in self.policy.needs else None
        with watch.stage("allocation"):
            sender_snr_db = framing.quantise_snr_db(belief.snr_db)
            if described is not None:
                known = self._predicted(score, described, sender_snr_db, belief, budget)
            elif {"sender_measured_mse", "expected_mse"} & set(self.policy.needs):
                trial = own_draws(belief) if foresight is None else foresight
                draws = SENDER_DRAWS if foresight is None else ORACLE_DRAWS
                known = self._measured(score, blocks, grid, sender_snr_db, budget, trial, draws)
            else:
                known = BlockStatistics(score)
            index, header_uses = self._plan(known, grid, budget, belief)
        return Plan(blocks, grid, sender_snr_db, index, header_uses, watch.seconds)

    def decode(self, received: Received, genie: framing.FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. genie: the header, where the side information is a genie's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = genie, 0
            if header is None:
                decoded = framing.decode_header(
                    equalised.symbols, equalised.gain, equalised.noise_variance, self._ratios_of
                )
                header, start = decoded.header, decoded.uses
        with watch.stage("decode"):
            grid = Grid(header.height, header.width)
            payload = equalised.part(start, start + self.ratios.spent(header.index))
            blocks = self.bank.decode(payload, header.gain, grid, header.index, header.sender_snr_db)
        with watch.stage("reassembly"):
            picture = reassemble(blocks, grid)
        return Reception(picture, watch.seconds)

    def _ratios_of(self, zoo_id: int) -> RatioSet:
        if zoo_id != self.zoo.id:
            raise InputError(
                f"the frame was made with zoo id {zoo_id}; zoo {self.zoo.name} has {self.zoo.id}"
            )
        return self.ratios

    def _plan(
        self, known: BlockStatistics, grid: Grid, budget: int, belief: Channel
    ) -> tuple[NDArray[np.int64], int]:
        """The allocation, and the uses of its header."""
        snr_db = belief.dependable_snr_db()

        def header_uses(index: NDArray[np.int64]) -> int:
            if self.genie:
                return 0
            header = framing.FrameHeader(grid.height, grid.width, self.zoo.id, 1.0, belief.snr_db, index)
            return framing.header_uses(header, self.ratios, snr_db)

        most = 0 if self.genie else framing.most_header_uses(grid.height, grid.width, self.ratios, snr_db)

        def plan(policy: AllocationPolicy) -> tuple[NDArray[np.int64], int]:
            try:
                return plan_frame(
                    lambda payload: policy.allocate(known, self.ratios, payload),
                    header_uses,
                    most,
                    self.ratios,
                    budget,
                )
            except BudgetError as error:
                raise BudgetError(f"{error} ({grid.height}x{grid.width} pixels)") from None

        chosen = plan(self.policy)
        if not self.policy.beats_uniform:
            return chosen
        even = plan(Uniform())
        errors = [total_error(known, index, self.ratios) for index, _ in (chosen, even)]
        return chosen if errors[0] < errors[1] else even

    def _predicted(
        self,
        score: NDArray[np.float64],
        described: NDArray[np.float64],
        sender_snr_db: float,
        belief: Channel,
        budget: int,
    ) -> BlockStatistics:
        """Tables from the zoo's calibration, averaged over what fading leaves of the SNR."""
        predictor = self.zoo.predictor
        energy = predictor.predict_energy(described, sender_snr_db)
        snrs_db = belief.effective_snrs_db()

        def mse_given(mean_energy: float) -> NDArray[np.float64]:
            lost_db = 10 * math.log10(max(mean_energy, 1e-12))
            tables = [predictor.predict_mse(described, sender_snr_db, snr - lost_db) for snr in snrs_db]
            return np.asarray(np.mean(tables, axis=0))

        mse = mse_given(self._uniform_energy(score, energy, budget))
        return BlockStatistics(score, mse, energy, mse_given)

    def _measured(
        self,
        score: NDArray[np.float64],
        blocks: NDArray[np.uint8],
        grid: Grid,
        sender_snr_db: float,
        budget: int,
        trial: Trial,
        draws: int,
    ) -> BlockStatistics:
        """Tables from trial transmissions of the whole picture, at two noise levels. There are as many
        maps as ratios; each mixes all of them, and over the maps each block gets every ratio once."""
        count = len(self.ratios)
        places = np.random.default_rng(0).permutation(len(grid))
        maps = [(places + turn) % count for turn in range(count)]
        latents = [self.bank.encode(blocks, grid, index, sender_snr_db) for index in maps]
        rows = np.arange(len(grid))
        energy = np.empty((len(grid), count))
        for x, index in zip(latents, maps, strict=True):
            energy[rows, index] = block_energies(x, index, self.ratios)
        reference = self._uniform_energy(score, energy, budget)
        tables = []
        for level_db in (0.0, BACK_OFF_DB):
            gain = 10 ** (-level_db / 20) / math.sqrt(reference)
            errors = np.zeros((len(grid), count))
            hidden = True if parent_process() is not None else None  # a sweep's worker has no terminal
            steps = tqdm(
                list(zip(latents, maps, strict=True)), "trying", leave=False, delay=2, disable=hidden
            )
            for x, index in steps:
                for draw in range(draws):
                    payload = equalise(
                        trial((x * np.float32(gain)).astype(np.complex64), draw), self.equaliser
                    )
                    received = self.bank.decode(payload, gain, grid, index, sender_snr_db)
                    errors[rows, index] += block_errors(received, blocks) / draws
            tables.append(np.minimum.accumulate(errors, axis=1))
        slope = np.log(np.maximum(tables[1], 1e-9) / np.maximum(tables[0], 1e-9)) / BACK_OFF_DB

        def mse_given(mean_energy: float) -> NDArray[np.float64]:
            lost_db = 10 * math.log10(max(mean_energy, 1e-12) / reference)
            return np.asarray(tables[0] * np.exp(slope * np.clip(lost_db, -2 * BACK_OFF_DB, 2 * BACK_OFF_DB)))

        return BlockStatistics(score, tables[0], energy, mse_given)

    def _uniform_energy(self, score: NDArray[np.float64], energy: NDArray[np.float64], budget: int) -> float:
        """Mean energy per use of the uniform allocation: the reference gain of every table."""
        index = Uniform().allocate(BlockStatistics(score), self.ratios, budget)
        total = float(energy[np.arange(len(index)), index].sum())
        return total / max(self.ratios.spent(index), 1) or 1.0


def pool_gain(latents: Latents) -> float:
    """The factor that brings a payload's mean power to 1; 1 for a payload without energy."""
    energy = float(np.square(np.abs(latents.astype(np.complex128))).sum())
    return math.sqrt(len(latents) / energy) if energy > 0 else 1.0
