"""Curves as differences to one that is chosen."""

import numpy as np
import pandas as pd
import pytest
from tables import CBRS, lose, results

from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.plots.curves import quality_figure
from jscc_sim.plots.differences import differences
from jscc_sim.plots.table import check_table

UNIFORM = ("policy=uniform",)


def table(**fields):
    return check_table(results(**fields))


def test_differences_are_those_of_the_same_image_at_the_same_point():
    rows = table()
    found = differences(rows, "psnr_db", UNIFORM)
    point = ["image", "snr_db", "cbr_budget"]
    uniform = rows[rows["policy"] == "uniform"].set_index(point)["psnr_db"]
    for (_, row), value in zip(rows.iterrows(), found["psnr_db"], strict=True):
        assert value == pytest.approx(row["psnr_db"] - uniform[tuple(row[point])])
    assert (found.loc[found["policy"] == "uniform", "psnr_db"] == 0).all()
    assert found[rows.columns].drop(columns="psnr_db").equals(rows.drop(columns="psnr_db"))


def test_repeats_of_the_chosen_one_are_its_mean():
    rows = pd.concat([results(), results().assign(repeat=1, psnr_db=results()["psnr_db"] + 1)])
    found = differences(check_table(rows.reset_index(drop=True)), "psnr_db", UNIFORM)
    chosen = found[found["policy"] == "uniform"]
    assert np.allclose(chosen["psnr_db"], np.where(chosen["repeat"] == 1, 0.5, -0.5))


def test_where_there_is_nothing_to_compare_with_there_is_no_value():
    rows = table()
    first = rows["image"].iloc[0]
    found = differences(rows[(rows["policy"] != "uniform") | (rows["image"] != first)], "psnr_db", UNIFORM)
    assert found["psnr_db"].isna().equals(found["image"] == first)


def test_lost_frames_count_or_do_not():
    rows = table()
    rows.loc[rows.index[rows["policy"] == "uniform"][0], ["psnr_db", "outage"]] = [10.0, True]
    assert differences(rows, "psnr_db", UNIFORM)["psnr_db"].notna().all()
    assert differences(rows, "psnr_db", UNIFORM, outages=False)["psnr_db"].isna().any()


def test_what_the_receiver_knows_may_be_chosen():
    rows = pd.concat([results(), results().assign(csi="noisy:20", psnr_db=results()["psnr_db"] - 2)])
    rows = check_table(rows[rows["policy"] == "uniform"].reset_index(drop=True))
    found = differences(rows, "psnr_db", ("csi=perfect",))
    assert np.allclose(found["psnr_db"], np.where(found["csi"] == "perfect", 0, -2))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (("uniform",), "'uniform' to compare with is not COLUMN=VALUE"),
        (("policy=best",), "best"),
        (("colour=red",), "colour=red: colour tells no curves apart; policy, "),
        (("repeat=0",), "repeat=0: repeat tells no curves apart; policy, "),
        (("=x",), "=x: that tells no curves apart"),
        (("channel=awgn",), "channel=awgn is several curves, of different policy: choose one of them"),
    ],
)
def test_bad_choices(chosen, words):
    with pytest.raises(InputError, match=words):
        differences(table(), "psnr_db", chosen)


def test_the_figure_draws_zero_and_says_what_is_compared():
    figure = quality_figure(results(), "cbr", relative_to=UNIFORM)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "difference in PSNR (dB)"
    drawn = {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.lines}
    assert np.allclose(drawn["uniform"], 0)
    said = " ".join(text.get_text() for text in figure.texts)
    assert "Differences to uniform, image by image." in said.replace("\n", " ")
    assert not any("envelope" in label for label in drawn)


def test_a_point_without_a_counterpart_says_so():
    rows = results()
    figure = quality_figure(
        rows[(rows["policy"] != "uniform") | (rows["cbr_budget"] != 1 / 8)], relative_to=UNIFORM
    )
    said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "lagrangian at CBR 1/8 (nothing to compare with: 4 of 4 images)" in said
    assert "lossless" not in said


def test_a_choice_without_a_value_is_nothing_to_compare_with():
    rows = results()
    chosen = rows["policy"] == "uniform"
    lost = rows.assign(outage=chosen)
    with pytest.raises(
        InputError, match="policy=uniform is nothing to compare with: none of its frames arrived"
    ):
        differences(check_table(lost), "psnr_db", UNIFORM, outages=False)
    with pytest.raises(InputError, match="policy=uniform is nothing to compare with: it has no ssim"):
        differences(check_table(rows.assign(ssim=rows["ssim"].where(~chosen))), "ssim", UNIFORM)


def test_the_command(tmp_path, capsys):
    results().to_csv(tmp_path / "rows.csv", index=False)
    command = ["plot", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "a.png")]
    assert main([*command, "--relative-to", "policy=uniform"]) == 0
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert main([*command, "--relative-to", "policy=uniform", "--y", "outage"]) == 2
    assert "--relative-to is of means of quality, not of outage" in capsys.readouterr().err


def test_a_belief_that_is_right_is_compared_too():
    """At its own SNR a mistaken sender's frames are those of one that knows."""
    known = results(("uniform",), (4.0, 7.0, 10.0), (1 / 16,))
    mistaken = known[known["snr_db"] != 10].assign(sender_snr_db=10.0)
    mistaken["psnr_db"] -= 0.5
    both = pd.concat([known, mistaken], ignore_index=True)
    figure = quality_figure(both, "snr_db", relative_to=["belief=10"])
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(drawn["sender believes 10 dB"].get_xdata()) == [4, 7, 10]
    assert np.allclose(drawn["sender knows the SNR"].get_ydata(), [0.5, 0.5, 0])


def test_a_line_stops_at_what_is_left_out():
    rows = lose(results(), "infeasible", policy="lagrangian", cbr_budget=CBRS[1])
    line = {line.get_label(): line for line in quality_figure(rows).axes[0].lines}["lagrangian"]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, *[False] * (len(CBRS) - 2)]


def test_bands_of_differences_are_shown_whole():
    rows = results(images=8)
    chosen = rows["policy"] == "lagrangian"
    rows.loc[chosen, "psnr_db"] += np.where(rows.loc[chosen, "image"] < "4", 9.0, -9.0)
    axes = quality_figure(rows, relative_to=UNIFORM).axes[0]
    low, high = axes.get_ylim()
    for band in axes.collections:
        for path in band.get_paths():
            assert low <= path.vertices[:, 1].min() <= path.vertices[:, 1].max() <= high
