"""The command line when all is well: options, rows, figures, plug-ins, listings."""

import dataclasses
import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from processes import photograph, pixels, save

from jscc_sim.allocation import POLICIES
from jscc_sim.cli import bench, main
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.units import STANDARD_RATIOS

COMMANDS = (
    "transmit",
    "encode",
    "channel",
    "decode",
    "policies",
    "zoo",
    "train",
    "calibrate",
    "bench",
    "sweep",
    "export",
)
KEYS = {
    *("image", "height", "width", "system", "zoo", "policy", "complexity", "channel", "snr_db", "cbr_budget"),
    *("budget_uses", "uses", "header_uses", "cbr", "psnr_db", "mse", "ssim", "ms_ssim", "outage", "seconds"),
    *("seed", "coder", "papr_db"),
}
POLICY = """
from dataclasses import dataclass
import numpy as np
from jscc_sim.allocation import AllocationPolicy

@dataclass(frozen=True)
class MyPolicy(AllocationPolicy):
    \"\"\"Everything to the first blocks.\"\"\"

    ratio: int = 5

    def _allocate(self, blocks, ratios, budget):
        count = min(budget // ratios.uses[self.ratio], len(blocks))
        return np.where(np.arange(len(blocks)) < count, self.ratio, 0)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(photograph(), "a.png")
    save(photograph(64, 96, "coffee"), "b.jpg")
    return tmp_path


@pytest.fixture
def send(capsys):
    """transmit with --json: its rows."""

    def run(*options, images=("a.png",), cbr="1/6", snr_db="10", zoo="linear", said=""):
        air = ["--snr-db", snr_db, "--cbr", cbr, "--zoo", zoo]
        code = main(["transmit", *images, *air, "--json", *map(str, options)])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        assert printed.err == said
        return [json.loads(line) for line in printed.out.splitlines()]

    return run


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: jscc-sim {command}".strip() in shown
    if not command:
        assert all(re.search(rf"^ +{name}\b", shown, re.MULTILINE) for name in COMMANDS)


def test_help_loads_no_library():
    """Half a second is little: numpy alone takes a fifth of it."""
    program = (
        "import sys\ntry:\n import jscc_sim.cli as c; c.main(['--help'])\nfinally:\n print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "jscc_sim.cli" in loaded
    assert not loaded & {"torch", "numpy", "sionna", "numba", "PIL", "scipy", "matplotlib", "pandas", "tqdm"}


def test_a_row(folder, send):
    (row,) = send("--seed", 4, "--out", "got.png")
    assert row.keys() >= KEYS
    assert (row["image"], row["height"], row["width"], row["seed"]) == ("a.png", 96, 128, 4)
    assert row["budget_uses"] == 96 * 128 * 3 // 6
    assert 0.9 * row["budget_uses"] < row["uses"] <= row["budget_uses"]
    assert 0 < row["header_uses"] < 0.1 * row["uses"]
    assert row["cbr"] == row["uses"] / (3 * 96 * 128) <= row["cbr_budget"] == 1 / 6
    assert row["outage"] is False
    assert sum(int(k) * n for k, n in row["ratio_blocks"].items()) == row["uses"] - row["header_uses"]
    mse = np.square(pixels("got.png").astype(float) - photograph()).mean()
    assert row["mse"] == pytest.approx(mse)
    assert row["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse))
    assert 0.7 < row["ssim"] < 1
    assert row["ms_ssim"] is None, "96 pixels are too few for five levels"
    assert 0 < row["seconds"] < 60


def test_a_decimal_cbr_is_the_same_budget(folder, send):
    (fraction,), (decimal,) = send("--no-ssim", cbr="1/8"), send("--no-ssim", cbr="0.125")
    assert fraction["budget_uses"] == decimal["budget_uses"] == 4608
    assert (fraction["uses"], fraction["mse"]) == (decimal["uses"], decimal["mse"])
    assert fraction["ssim"] is None


def test_several_pictures_to_a_folder(folder, send):
    rows = send("--no-ssim", "--out", "new/deep", images=("a.png", "b.jpg"))
    assert [(row["image"], row["height"]) for row in rows] == [("a.png", 96), ("b.jpg", 64)]
    assert sorted(p.name for p in (folder / "new/deep").iterdir()) == ["a.png", "b.png"]
    assert pixels(folder / "new/deep/b.png").shape == (64, 96, 3)
    (alone,) = send("--no-ssim", images=("b.jpg",))
    assert alone["mse"] == rows[1]["mse"], "a picture's result depends on the ones before it"


def test_a_table_for_people(folder, capsys):
    assert main(["transmit", "a.png", "--zoo", "linear", "--cbr", "1/6", "--snr-db", "-25"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert "header" in head
    assert line.startswith("a.png")
    assert line.endswith("OUTAGE")


def test_the_table_says_who_coded_if_it_is_not_the_zoo(folder, capsys):
    """At 20 dB and many uses conv-small's companion is better."""
    for options in (
        "--snr-db 20 --zoo conv-small --cbr 1/2",
        "--snr-db 10 --zoo conv-small --cbr 1/6",
        "--snr-db 10 --system jpeg+ldpc --cbr 1/3",
    ):
        assert main(["transmit", "a.png", "--no-ssim", *options.split()]) == 0
    _, companion, _, own, _, mode = capsys.readouterr().out.splitlines()
    assert companion.endswith("coder linear")
    assert "coder" not in own
    assert re.search(r"coder \w+qam-\d+$", mode)


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_figure(folder, send, suffix):
    send("--no-ssim", "--figure", f"figure{suffix}", "--out", "got.png")
    if suffix == ".pdf":
        assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")
    else:
        with Image.open("figure.png") as image:
            assert min(image.size) > 300


def test_policies_from_everywhere(folder, send):
    (folder / "my_policy.py").write_text(POLICY)
    (first,) = send("--no-ssim", "--policy", "my_policy.py:MyPolicy")
    (second,) = send("--no-ssim", "--policy", "my_policy.py:MyPolicy:ratio=8")
    used = [{k for k, n in row["ratio_blocks"].items() if n and k != "0"} for row in (first, second)]
    assert used == [{str(STANDARD_RATIOS.uses[5])}, {str(STANDARD_RATIOS.uses[8])}]
    (module,) = send("--no-ssim", "--policy", "jscc_sim.allocation.random:Random:seed=3")
    (name,) = send("--no-ssim", "--policy", "random:seed=3")
    (other,) = send("--no-ssim", "--policy", "random:seed=4")
    assert module["mse"] == name["mse"] != other["mse"]
    assert (name["policy"], module["complexity"]) == ("random:seed=3", "variance")


def test_complexity_changes_what_a_policy_does(folder, send):
    rows = [send("--no-ssim", "--policy", "quintiles", "--complexity", c)[0] for c in ("variance", "dct")]
    assert rows[0]["complexity"] == "variance"
    assert rows[0]["mse"] != rows[1]["mse"]


def test_the_sender_may_be_mistaken(folder, send):
    (right,), (wrong,) = send("--no-ssim"), send("--no-ssim", "--sender-snr-db", 3)
    assert (right["snr_db"], right["sender_snr_db"]) == (10, 10)
    assert (wrong["snr_db"], wrong["sender_snr_db"]) == (10, 3)
    assert wrong["header_uses"] > right["header_uses"], "a header for 3 dB is longer than one for 10 dB"
    assert wrong["mse"] > right["mse"]


def test_what_the_header_was_made_for(folder, send):
    """Its margin is taken as far as it costs little: all of the 10 dB or less."""
    (own,), (given,) = send("--no-ssim"), send("--no-ssim", "--header-margin-db", 4)
    assert given["header_snr_db"] == 6
    assert 0 <= own["header_snr_db"] < 10
    assert own["header_margin_db"] is None


def test_a_genie_is_marked_and_its_header_free(folder, send, capsys):
    (genie,), (honest,) = send("--no-ssim", "--side-info", "genie"), send("--no-ssim")
    assert (genie["side_info"], genie["header_uses"], genie["header_snr_db"]) == ("genie", 0, None)
    assert honest["side_info"] == "transmitted"
    command = ["transmit", "a.png", "--zoo", "linear", "--cbr", "1/6", "--snr-db", "10", "--no-ssim"]
    main([*command, "--side-info", "genie"])
    main(command)
    _, marked, _, plain = capsys.readouterr().out.splitlines()
    assert "genie" in marked
    assert "genie" not in plain


def test_same_seed_same_row(folder, send):
    def figures(row):
        return {k: v for k, v in row.items() if "seconds" not in k}

    options = ("--channel", "rayleigh-block:64", "--csi", "noisy:20", "--no-ssim")
    first, second, third = (send(*options, "--seed", seed)[0] for seed in (1, 1, 2))
    assert figures(first) == figures(second)
    assert first["mse"] != third["mse"]


def test_an_outage_is_a_row_and_mid_grey(folder, send):
    said = "jscc-sim: SNR of -25 dB is outside the -2 to 20 dB that zoo linear was trained for\n"
    (row,) = send("--no-ssim", "--sender-snr-db", 10, "--out", "got.png", snr_db="-25", said=said)
    assert row["outage"] is True
    assert (pixels("got.png") == 128).all()
    assert row["mse"] == pytest.approx(np.square(photograph() - 128.0).mean())


def test_policies_listing(capsys):
    assert main(["policies", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == list(POLICIES)
    assert [row["name"] for row in rows if not row["realisable"]] == ["oracle"]
    assert main(["policies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(POLICIES)
    assert ["not realisable" in line for line in lines] == [name == "oracle" for name in POLICIES]


def test_zoo_listing(capsys):
    assert main(["zoo", "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    linear = rows["linear"]
    assert linear["ratios"] == list(STANDARD_RATIOS.uses)
    assert linear["snr_range_db"] == [-2, 20]
    assert {"parameters", "macs_per_pixel", "training", "sha256", "id"} <= linear.keys()
    assert main(["zoo"]) == 0
    shown = capsys.readouterr().out
    for word in ("linear:", "ratios", "SNR", "parameters", "MACs per pixel", "trained on"):
        assert word in shown


@pytest.mark.parametrize(("zoo", "columns"), [("linear", 1), ("conv-small", 2)])
def test_bench_compares_each_arithmetic_with_single_precision(zoo, columns, monkeypatch, capsys):
    for name in ("MANY_BLOCKS", "TWIN_BLOCKS"):
        monkeypatch.setattr(bench, name, 4)
    assert main(["bench", "--zoo", zoo, "--size", "64x96", "--runs", "1"]) == 0
    table = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert len(table["total"]) >= 1 + columns
    assert float(table["times fp32"][2]) == 1
    stages = sum(float(table[stage][1]) for stage in bench.STAGES)
    assert stages == pytest.approx(float(table["total"][1]), rel=0.5)


@pytest.mark.parametrize(("platform", "shown"), [("linux", "2.00 GiB"), ("darwin", "0.00 GiB")])
def test_peak_memory_in_the_units_of_the_system(platform, shown, monkeypatch):
    pytest.importorskip("resource")
    monkeypatch.setattr(bench.sys, "platform", platform)
    monkeypatch.setattr("resource.getrusage", lambda _: SimpleNamespace(ru_maxrss=2 << 20))
    assert bench._peak_memory() == shown


def test_no_peak_memory_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert importlib.reload(bench)._peak_memory() == "unknown"


def test_what_has_no_effect_or_is_out_of_range_is_said(folder, send):
    send("--no-ssim", "--complexity", "dct", said="jscc-sim: complexity dct has no effect: policy lagrangian "
         "does not read it\n")  # fmt: skip
    (scored,) = send("--no-ssim", "--complexity", "dct", "--policy", "quintiles")
    (plain,) = send("--no-ssim")
    assert (scored["notes"], plain["notes"]) == (["complexity dct"], [])
    said = "jscc-sim: SNR of 21, 25 dB is outside the -2 to 20 dB that zoo linear was trained for\n"
    send("--no-ssim", "--sender-snr-db", 21, snr_db="25", said=said)


def test_encode_says_so_too(folder, capsys):
    assert main(["encode", "a.png", "--zoo", "linear", "--cbr", "1/6", "--snr-db", "-3", "--out", "tx"]) == 0
    assert "SNR of -3 dB is outside the -2 to 20 dB" in capsys.readouterr().err


def test_a_sweep_says_so_once(folder, capsys):
    (folder / "grid.toml").write_text(
        'images = ["a.png", "b.jpg"]\nchannels = ["awgn"]\nsnr_db = [10, 30]\ncbr = ["1/6", "1/8"]\n'
        '[[systems]]\nname = "block-jscc"\nzoo = "linear"\ncomplexity = "dct"\n'
        '[[systems]]\nname = "block-jscc"\nzoo = "linear"\npolicy = "uniform"\n'
    )
    main(["sweep", "grid.toml", "--dry-run"])
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" dB")[0] for line in said] == [
        "jscc-sim: complexity dct has no effect: policy lagrangian does not read it",
        "jscc-sim: SNR of 30",
    ]


def test_a_budget_that_cannot_be_used_and_a_frame_of_headers_alone_are_marked(folder, send, capsys):
    (row,) = send("--no-ssim", cbr="1/2")
    assert row["ratio_blocks"]["768"] == 12
    left = row["budget_uses"] - row["uses"]
    assert row["notes"] == [f"{left} uses left over, 768 a block are the most that it can use"]
    (row,) = send("--no-ssim", cbr="1/440")
    assert row["uses"] == row["header_uses"]
    assert row["notes"] == ["header alone"]
    main(["transmit", "a.png", "--no-ssim", "--zoo", "linear", "--cbr", "1/440", "--snr-db", "10"])
    assert capsys.readouterr().out.splitlines()[1].endswith("  header alone")


def test_a_long_policy_keeps_its_beginning(folder, capsys):
    (folder / "deep").mkdir()
    (folder / "deep/my_long_policy.py").write_text(POLICY)
    policy = ["--policy", "deep/my_long_policy.py:MyPolicy:ratio=4"]
    main(["transmit", "a.png", "--no-ssim", "--zoo", "linear", "--cbr", "1/6", "--snr-db", "10", *policy])
    assert "a.png                    my_long_policy.py:MyPoli " in capsys.readouterr().out


def test_policies_of_installed_packages_are_listed(capsys, caplog, monkeypatch):
    group = "jscc_sim.policies"
    installed = [
        importlib.metadata.EntryPoint("theirs", "jscc_sim.allocation.random:Random", group),
        importlib.metadata.EntryPoint("gone", "no_such_package:Policy", group),
        importlib.metadata.EntryPoint("number", "jscc_sim.units:BLOCK", group),
    ]
    monkeypatch.setattr("jscc_sim.plugins.loading.entry_points", lambda group: installed)
    assert main(["policies"]) == 0
    shown = capsys.readouterr()
    assert [line.split()[0] for line in shown.out.splitlines()] == [*POLICIES, "theirs"]
    gone, number = (record.getMessage() for record in caplog.records)
    assert "policy gone: no_such_package:Policy raised ModuleNotFoundError" in gone
    assert "jscc_sim.units:BLOCK: 32 is no subclass of AllocationPolicy" in number


def test_grid_keys_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    shown = capsys.readouterr().out
    for cls in (Grid, SystemSpec):
        assert all(re.search(rf"\b{field.name}\b", shown) for field in dataclasses.fields(cls))
