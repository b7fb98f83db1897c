"""The page on waveforms: its commands run, its numbers are the code's."""

import re
import shlex
from pathlib import Path

import pytest

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
    said = re.findall(r"([\d.]+) %", PAGE.partition("| budget |")[2].partition("\n")[0])
    assert said == [f"{100 * share / air.uses:.1f}" for share in shares]


def test_every_impairment_is_named():
    assert set(re.findall(r"`\+([a-z-]+):", PAGE)) >= IMPAIRMENTS.keys()
