"""The zoos that come with the package: whole, described, and as good as they must be on a photograph."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from jscc_sim.allocation import POLICIES, Lagrangian, Uniform
from jscc_sim.channels import AWGN, parse_channel
from jscc_sim.checkpoint import Checkpoint, models_folder, released
from jscc_sim.cli.bench import photograph
from jscc_sim.images import read_picture
from jscc_sim.metrics import measure
from jscc_sim.nn.loading import filled
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.training.learned import LEARNED, learned_task
from jscc_sim.units import STANDARD_RATIOS, budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo, released_zoos

PICTURE = read_picture("coffee")[64:320, 128:512]
HOPELESS_DB = 14.0


def psnr_db(zoo, policy, snr_db, cbr, channel="awgn"):
    system = BlockJSCC(load_zoo(zoo), policy)
    budget = budget_uses(parse_cbr(cbr), *PICTURE.shape[:2])
    sent = system.transmit(PICTURE, parse_channel(channel, snr_db), budget, np.random.default_rng(0))
    assert sent.coder in {zoo, "linear"}
    assert sent.uses <= budget
    assert not sent.outage
    return measure(sent.picture, PICTURE, metrics=()).psnr_db


def test_there_are_three():
    assert released_zoos() == ["conv", "conv-small", "linear"]


TRYING = ("encoder-in-the-loop", "oracle")
"""Policies whose plans need the networks."""


@pytest.mark.parametrize("name", ["conv", "conv-small", "linear"])
def test_described_and_whole(name):
    zoo = load_zoo(name)
    assert zoo.ratios.uses == STANDARD_RATIOS.uses
    assert zoo.bank.parameters == zoo.manifest["parameters"]
    assert round(zoo.bank.macs_per_pixel) == zoo.manifest["macs_per_pixel"]
    assert zoo.predictor.mse.shape[0] == len(STANDARD_RATIOS)
    assert {"summary", "snr_range_db", "training", "measured", "calibration"} <= zoo.manifest.keys()
    assert (models_folder() / name / "CARD.md").is_file()


@pytest.mark.parametrize("name", ["conv", "conv-small"])
@pytest.mark.parametrize("snr_db", [1.0, 20.0])
@pytest.mark.parametrize(
    "policy", [policy() for name, policy in POLICIES.items() if name not in TRYING], ids=repr
)
def test_ratios_that_lose_colour_are_taken_by_no_policy(name, snr_db, policy):
    zoo = load_zoo(name)
    assert zoo.ratios.withheld == (0, 8)
    picture = np.pad(PICTURE, ((0, 128), (0, 128), (0, 0)), mode="edge")  # a third of it smooth
    budget = budget_uses(parse_cbr("1/48"), *picture.shape[:2])
    alone = zoo.alone()
    plan = BlockJSCC(alone, policy).plan(picture, budget, AWGN(snr_db))
    assert len(set(plan.index)) > 1
    assert zoo.ratios.array[plan.index].min() > 8


def test_ids_differ():
    assert len({load_zoo(name).id for name in released_zoos()}) == 3


def megabytes(names):
    folders = [models_folder() / name for name in names]
    return sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors")) / 1e6


def test_block_zoos_take_at_most_18_megabytes():
    assert megabytes(released_zoos()) < 18


def test_learned_systems_take_at_most_10_megabytes():
    assert megabytes(released("system")) < 10


def test_every_learned_system_is_released():
    assert released("system") == sorted(LEARNED)


@pytest.mark.parametrize("name", sorted(LEARNED))
def test_a_learned_system_is_described_and_whole(name):
    model = Checkpoint.find(name)
    task = learned_task(name)
    network = filled(task.network, model.manifest["architecture"], model.tensors)
    assert model.manifest["architecture"] == json.loads(json.dumps(asdict(task.architecture)))
    assert sum(p.numel() for p in network.parameters()) == model.manifest["parameters"]
    assert round(task.macs_per_pixel()) == model.manifest["macs_per_pixel"]
    assert {"data", "command", "steps"} <= model.manifest["training"].keys()
    assert {"summary", "measured"} <= model.manifest.keys()
    assert (models_folder() / name / "CARD.md").is_file()


@pytest.mark.parametrize(("snr_db", "cbr"), [(1.0, "1/16"), (10.0, "1/48"), (10.0, "1/16"), (20.0, "1/16")])
def test_the_network_beats_the_linear_coder(snr_db, cbr):
    assert psnr_db("conv", Lagrangian(), snr_db, cbr) > psnr_db("linear", Lagrangian(), snr_db, cbr)


def test_at_high_rate_and_snr_it_is_not_below():
    assert psnr_db("conv", Lagrangian(), 20.0, "1/8") >= psnr_db("linear", Lagrangian(), 20.0, "1/8")


@pytest.mark.parametrize("name", ["conv", "linear"])
def test_adaptation_pays(name):
    assert psnr_db(name, Lagrangian(), 10.0, "1/16") > psnr_db(name, Uniform(), 10.0, "1/16") + 0.3


@pytest.mark.parametrize("name", ["conv", "linear"])
def test_quality_rises_with_snr_and_bandwidth(name):
    by_snr = [
        psnr_db(name, Lagrangian(), snr_db, "1/16") for snr_db in (-2.0, 1.0, 4.0, 7.0, 10.0, 13.0, 20.0)
    ]
    by_cbr = [psnr_db(name, Lagrangian(), 10.0, cbr) for cbr in ("1/48", "1/24", "1/16", "1/12", "1/8")]
    assert by_snr == sorted(by_snr)
    assert by_cbr == sorted(by_cbr)


@pytest.mark.parametrize("name", ["conv", "linear"])
@pytest.mark.parametrize("channel", ["rayleigh-fast", "rayleigh-block:64", "rician-fast:10"])
def test_fading_costs_quality_and_no_more(name, channel):
    faded = psnr_db(name, Lagrangian(), 15.0, "1/12", channel)
    assert HOPELESS_DB + 5 < faded < psnr_db(name, Lagrangian(), 15.0, "1/12")


def test_header_share_of_a_photograph():
    picture = photograph(512, 768)
    budget = budget_uses(parse_cbr("1/16"), 512, 768)
    bare, wide = (
        BlockJSCC(load_zoo("conv"), header_margin_db=margin_db).plan(picture, budget, AWGN(10.0)).header_uses
        for margin_db in (0.0, None)
    )
    assert bare <= 0.015 * budget
    assert bare < wide <= bare + 0.021 * budget
