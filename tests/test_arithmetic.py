"""What networks compute on and in: precision, threads, device."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from processes import photograph, save
from torch import nn

import jscc_sim
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN, Equalised
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.inference import Arithmetic
from jscc_sim.metrics import psnr_between
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.nn.torch_coder import TorchCoder
from jscc_sim.plots.table import check_table
from jscc_sim.sweeps import Grid, SystemSpec, replay, run_trial
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.zoo import load_zoo

LINK = {"snr_db": 10, "cbr": "1/12", "zoo": "conv-small"}
BF16 = Arithmetic(precision="bf16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pictures")
    save(photograph(), place / "a.png")
    return place


def sent(**arithmetic):
    return jscc_sim.transmit(photograph(), **LINK, **arithmetic)


def grid(folder, **fields):
    systems = [SystemSpec("block-jscc", "conv-small", **fields)]
    return Grid([str(folder / "a.png")], systems, ["awgn"], [10], ["1/12"])


def test_bf16_costs_a_picture_hardly_anything():
    single, brief = sent(), sent(precision="bf16")
    assert not np.array_equal(single.picture, brief.picture), "the same arithmetic"
    assert brief.psnr_db == pytest.approx(single.psnr_db, abs=0.02)
    assert psnr_between(single.picture, brief.picture) > single.psnr_db + 6


@pytest.mark.parametrize("zoo", ["conv", "conv-small"])
def test_the_trunk_is_in_bf16_and_what_conditions_it_is_not(zoo):
    coder = load_zoo(zoo).computing(BF16).bank.coder
    kinds = {name: weights.dtype for name, weights in coder.named_parameters()}
    assert {kinds[n] for n in kinds if n.startswith(("sender.", "receiver."))} == {torch.float32}
    assert {kinds[n] for n in kinds if not n.startswith(("sender.", "receiver."))} == {torch.bfloat16}


def test_a_zoo_in_single_is_left_alone():
    zoo = load_zoo("conv-small")
    _ = zoo.computing(BF16).bank
    stored = zoo.checkpoint.tensors
    for name, weights in zoo.bank.coder.named_parameters():
        assert np.array_equal(weights.numpy(), stored[name].astype(np.float32)), name


@pytest.mark.parametrize(("sender", "receiver"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_two_ends_of_different_precision_understand_each_other(folder, tmp_path, sender, receiver):
    zoo = ("--zoo", "conv-small")
    link = ("--snr-db", "10")
    tx, rx, out = (str(tmp_path / name) for name in ("tx", "rx", "out.png"))
    options = (*zoo, *link, "--cbr", "1/12", "--precision", sender, "--out", tx)
    assert main(["encode", str(folder / "a.png"), *options]) == 0
    assert main(["channel", tx, *link, "--out", rx]) == 0
    assert main(["decode", rx, *zoo, "--precision", receiver, "--threads", "2", "--out", out]) == 0
    assert psnr_between(jscc_sim.read_picture(out), photograph()) == pytest.approx(sent().psnr_db, abs=0.05)


def test_threads_change_last_bits_at_most():
    before = torch.get_num_threads()
    one, two = sent(), sent(threads=2)
    assert two.psnr_db == pytest.approx(one.psnr_db, abs=1e-3)
    assert torch.get_num_threads() == before


def test_the_networks_run_on_as_many_threads_as_are_asked_for(monkeypatch):
    seen = []
    zoo = load_zoo("conv-small").computing(Arithmetic(threads=2))
    coder, encode = zoo.bank.coder, zoo.bank.coder.encode
    monkeypatch.setattr(
        coder, "encode", lambda *args: (seen.append(torch.get_num_threads()), encode(*args))[1]
    )
    system = replace(SystemSpec("block-jscc", "conv-small").load(), zoo=zoo)
    system.transmit(photograph(), AWGN(10.0), 2000, np.random.default_rng(0))
    assert set(seen) == {2}


# --- a device, which no machine need have ---------------------------------------------------------------


@pytest.mark.parametrize("zoo", ["conv", "conv-small"])
def test_all_that_the_networks_take_is_made_on_their_device(zoo):
    """On the device of torch that holds no numbers, what is left on the processor is refused."""
    bank = load_zoo(zoo).bank
    elsewhere = ConvBank(bank.coder.__class__(bank.architecture))
    elsewhere.coder.to("meta")
    object.__setattr__(elsewhere, "arithmetic", replace_device(elsewhere.arithmetic, "meta"))
    blocks, tiling = split(photograph())
    index = np.full(len(tiling), 3)
    with pytest.raises(NotImplementedError, match="meta"):  # as the result is fetched, and not before
        elsewhere.encode(blocks, tiling, index, 10.0)
    uses = bank.ratios.spent(index)
    heard = Equalised(np.ones(uses, np.complex128), np.ones(uses), np.full(uses, 0.1))
    with pytest.raises(NotImplementedError, match="meta"):
        elsewhere.decode(heard, 1.0, tiling, index, 10.0)


def replace_device(arithmetic, device):
    made = Arithmetic(precision=arithmetic.precision, threads=arithmetic.threads)
    object.__setattr__(made, "device", device)
    return made


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there(device):
    with pytest.raises(InputError, match=f"device {device}: torch finds 0 GPUs on this machine"):
        sent(device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_finds_what_the_processor_does(precision):
    assert sent(device="cuda", precision=precision).psnr_db == pytest.approx(sent().psnr_db, abs=0.01)


def test_networks_of_ones_own_are_called_on_their_device():
    coder = TorchCoder(nn.Conv2d(3, 2, 8, 8, device="meta"), nn.ConvTranspose2d(2, 3, 8, 8, device="meta"))
    with pytest.raises(NotImplementedError, match="meta"):  # as the result is fetched, and not before
        coder.encode(photograph(), 10.0)


# --- what is known of it afterwards ----------------------------------------------------------------------


def test_precision_is_in_the_key_and_the_row_and_device_in_the_row(folder):
    (plain,), (brief,), (gpu,) = (
        grid(folder, **fields).trials() for fields in ({}, {"precision": "bf16"}, {"device": "cuda"})
    )
    assert plain.key != brief.key
    assert (plain.key, plain.seed) == (gpu.key, brief.seed), "where a trial runs is no other trial"
    row = run_trial(brief)
    assert (row.status, row.precision, row.device) == ("ok", "bf16", "cpu")
    assert gpu.row("ok").device == "cuda"
    assert "in bf16" in brief.coordinates
    again = replay(vars(row), str(folder / "a.png"))
    assert again["mse"] == row.mse
    assert replay({**vars(row), "device": "cuda"}, str(folder / "a.png"))["mse"] == row.mse, "on the CPU"
    older = {**vars(run_trial(plain)), "precision": None, "device": None}
    assert replay(older, str(folder / "a.png"))["mse"] == older["mse"]


def test_a_key_in_single_is_what_it_was():
    zoo = load_zoo("conv-small")
    assert zoo.computing(Arithmetic(threads=2)).sha256 == zoo.sha256
    assert zoo.computing(BF16).sha256 != zoo.sha256


def test_a_grid_on_a_device(folder):
    systems = [SystemSpec("block-jscc", "conv-small"), SystemSpec("block-jscc", "linear"), "softcast"]
    moved = Grid([str(folder / "a.png")], systems, ["awgn"], [10], ["1/12"]).on("cuda")
    assert [spec.device for spec in moved.specs] == ["cuda", "cpu", "cpu"]


@pytest.mark.parametrize("fields", [{"threads": 2}, {"device": "cuda"}])
def test_what_makes_no_other_trial_is_no_other_system(folder, fields):
    systems = [SystemSpec("block-jscc", "conv-small"), SystemSpec("block-jscc", "conv-small", **fields)]
    with pytest.raises(InputError, match="is there twice"):
        Grid([str(folder / "a.png")], systems, ["awgn"], [10], ["1/12"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_grid_on_a_gpu_that_is_not_there_is_refused_unless_told_otherwise(folder, capsys):
    (folder / "grid.toml").write_text(
        'images = ["a.png"]\nchannels = ["awgn"]\nsnr_db = [7]\ncbr = ["1/12"]\n'
        '[[systems]]\nname = "block-jscc"\nzoo = "conv-small"\ndevice = "cuda"\n'
    )
    command = ["sweep", str(folder / "grid.toml"), "--store", str(folder / "rows.sqlite")]
    assert main(command) == 2
    assert "device cuda: torch finds 0 GPUs" in capsys.readouterr().err
    assert main([*command, "--device", "cpu"]) == 0


def test_a_system_in_memory_keeps_its_arithmetic():
    system = SystemSpec("block-jscc", "conv-small", precision="bf16", threads=2).load()
    spec = SystemSpec.of(system)
    assert (spec.precision, spec.threads) == ("bf16", 2)
    assert Fingerprint.of(spec.load()) == Fingerprint.of(system)


def test_tables_tell_precisions_apart(folder):
    rows = [vars(run_trial(trial)) for p in ("fp32", "bf16") for trial in grid(folder, precision=p).trials()]
    both = check_table(pd.DataFrame(rows))
    assert set(both["precision"]) == {"fp32", "bf16"}
    assert set(both["zoo"]) == {"conv-small"}, "one zoo"
    chain = {**rows[0], "system": "softcast", "zoo": "", "zoo_sha256": "", "policy": "", "precision": ""}
    beside = check_table(pd.DataFrame([*rows, chain, {**rows[0], "precision": None}]))
    assert list(beside["precision"]) == ["fp32", "bf16", "", "fp32"], "older rows name none"
    assert set(check_table(pd.DataFrame(rows[:1]))["precision"]) == {""}, "not worth a word"


def test_the_command_line_says_both(folder, capsys):
    options = ("--zoo", "conv-small", "--cbr", "1/12", "--snr-db", "10", "--no-ssim", "--json")
    assert main(["transmit", str(folder / "a.png"), *options, "--precision", "bf16"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["precision"], row["device"]) == ("bf16", "cpu")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"device": "tpu"}, "device = 'tpu' is not cpu, cuda or cuda:N"),
        ({"device": "cuda:x"}, "device = 'cuda:x' is not cpu, cuda or cuda:N"),
        ({"precision": "fp16"}, "precision = 'fp16' is not one of fp32, bf16"),
        ({"threads": 0}, "threads = 0 is outside 1 to 1024"),
        ({"threads": 2.0}, "threads = 2.0 is no whole number"),
        ({"threads": True}, "threads = True is no whole number"),
        ({"zoo": "linear", "precision": "bf16"}, "zoo linear has no networks: precision bf16 is of networks"),
        ({"zoo": "linear", "threads": 2}, "zoo linear has no networks: threads 2 is of networks"),
        ({"system": "softcast", "zoo": "", "precision": "bf16"}, "system softcast has no precision bf16"),
        ({"system": "vae:4", "zoo": "", "device": "cuda"}, "system vae:4 has no device cuda"),
    ],
)
def test_bad_arithmetic(fields, words):
    with pytest.raises(InputError, match=words):
        jscc_sim.transmit(photograph(), **{**LINK, **fields})
