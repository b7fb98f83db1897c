"""The page on waveforms: its commands run, its numbers are the code's."""

import re
import shlex
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import jscc_sim
from jscc_sim.channels import IMPAIRMENTS
from jscc_sim.cli import main
from jscc_sim.waveforms import OFDM, WAVEFORMS, parse_waveform

pytestmark = pytest.mark.usefixtures("one_thread")
PAGE = (Path(__file__).parents[1] / "docs" / "over_the_air.md").read_text()


def test_the_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.strip().splitlines():
            words = shlex.split(line)[1:]
            if words[0] == "channel":
                words += ["--seed", "1"]
            zoo = ["--zoo", "linear"] if words[0] != "channel" else []
            assert main([*words, *zoo]) == 0
    assert Path("received.png").exists()


def test_the_numbers_are_those_of_the_waveform():
    waveform = OFDM()
    (name,) = re.findall(r"`(ofdm:[^`]*)`", PAGE)
    assert parse_waveform(name) == waveform
    assert name.partition(":")[2] in next(form for form in WAVEFORMS if form.startswith("ofdm"))
    air = waveform.air_time(waveform.room(73_728))
    assert f"{air.data:,}".replace(",", " ") in PAGE
    shares = (air.data, air.pilots, air.prefix, air.preamble)
    row = PAGE.partition("| budget |")[2].partition("\n")[0]
    assert f"{air.uses:,}".replace(",", " ") in row
    said = re.findall(r"([\d.]+) %", row)
    assert said == [f"{100 * share / air.uses:.1f}" for share in shares]


def test_a_channel_of_ones_own(monkeypatch):
    monkeypatch.setattr("sys.argv", ["page"])
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    vars(module).update(dataclass=dataclass, jscc_sim=jscc_sim, np=np)
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], vars(module))
    for csi in ("estimated", "perfect"):
        sent = jscc_sim.transmit(
            "astronaut",
            snr_db=15,
            cbr="1/16",
            zoo="linear",
            channel=module.TwoRay(15.0),
            csi=csi,
            waveform="ofdm",
        )
        assert not sent.outage
        assert sent.psnr_db > 25
    ones = np.ones((1, 1))
    assert np.allclose(module.TwoRay(0.0).response(ones[0], 0 * ones[0], None), 0.894 * (1 + 0.5j))


def test_every_impairment_is_named():
    assert set(re.findall(r"`\+([a-z-]+):", PAGE)) >= IMPAIRMENTS.keys()
