"""Curves of tables with known answers: what their artists show is what the statistics say."""

import io
import re
import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tables import CBRS, GAINS_DB, HEIGHT, REFERENCES, WIDTH, lose, psnr_of, results

from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.plots.curves import gain_figure, outage_figure, overhead_figure, quality_figure
from jscc_sim.plots.gains import envelopes, with_gains
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.plots.style import COLOURS, figure_bytes
from jscc_sim.plots.table import as_fraction, check_table, read_csv, read_references
from jscc_sim.plots.waterfalls import waterfall_figure
from jscc_sim.statistics import envelope_mse, interval, lower_envelope, proportion

UNIFORM_USES = [int(cbr * 3 * HEIGHT * WIDTH) for cbr in CBRS]


def lines(figure, panel=0):
    """Legend label -> line, of a panel."""
    by_label = dict(zip(labels(figure), figure.legends[0].legend_handles, strict=True))
    drawn = {}
    for label, handle in by_label.items():
        for line in figure.axes[panel].lines:
            alike = all(
                getattr(line, get)() == getattr(handle, get)()
                for get in (
                    "get_color",
                    "get_marker",
                    "get_markerfacecolor",
                    "get_linestyle",
                    "get_linewidth",
                )
            )
            if alike and len(line.get_xdata()) > 0:
                drawn.setdefault(label, line)
    return drawn


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def notes(figure):
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def band(collection):
    """x -> (low, high) of a filled band."""
    ends = {}
    for x, y in collection.get_paths()[0].vertices:
        low, high = ends.get(x, (y, y))
        ends[x] = (min(low, y), max(high, y))
    return ends


# --- curves ---------------------------------------------------------------------------------------


def test_curves_and_bands_are_the_statistics():
    figure = quality_figure(results(images=6))
    drawn = lines(figure)
    for policy, filled in zip(("uniform", "lagrangian"), figure.axes[0].collections, strict=True):
        expected = [interval([psnr_of(policy, 10.0, cbr, image) for image in range(6)]) for cbr in CBRS]
        np.testing.assert_allclose(drawn[policy].get_xdata(), CBRS)
        np.testing.assert_allclose(drawn[policy].get_ydata(), [e.mean for e in expected])
        ends = np.array([band(filled)[x] for x in drawn[policy].get_xdata()])
        np.testing.assert_allclose(np.diff(ends)[:, 0] / 2, [e.half_width for e in expected])
    assert "Mean over 6 images; bands: 95 % intervals over images." in notes(figure)


@pytest.mark.parametrize("images", [2, 4])
def test_few_images_are_thin_lines_and_have_no_band(images):
    figure = quality_figure(results(images=images))
    axes = figure.axes[0]
    assert all(len(path.vertices) == 0 for filled in axes.collections for path in filled.get_paths())
    thin = [line.get_ydata() for line in axes.lines if line.get_linewidth() < 0.5]
    expected = [[psnr_of(policy, 10.0, cbr, image) for cbr in CBRS]
                for policy in ("uniform", "lagrangian") for image in range(images)]  # fmt: skip
    np.testing.assert_allclose(thin, expected)
    assert f"Mean over {images} images; thin lines: the single images" in notes(figure)
    low, high = axes.get_ylim()
    assert np.min(expected) - 1 < low < np.min(expected)
    assert np.max(expected) < high < np.max(expected) + 1


def a_point_beside_curves(images):
    """Curves over the CBR and a scheme of one CBR, whose pictures are 30 dB apart."""
    table = results(("uniform",), images=images)
    point = table[table["cbr_budget"] == CBRS[2]].assign(policy="lagrangian")
    point["psnr_db"] += np.where(point["image"] == "0.png", -30, 30 / (images - 1))
    return pd.concat([table, point], ignore_index=True)


def test_few_images_of_a_scheme_of_one_point_are_dots():
    table = a_point_beside_curves(3)
    figure = quality_figure(table)
    axes = figure.axes[0]
    dots = [line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 1 and line.get_alpha()]
    np.testing.assert_allclose(dots, table.loc[table["policy"] == "lagrangian", "psnr_db"])
    assert all(
        line.get_marker() == "o" for line in axes.lines if len(line.get_xdata()) == 1 and line.get_alpha()
    )
    assert "Mean over 3 images; thin lines and dots: the single images" in notes(figure)
    low, high = axes.get_ylim()
    assert low < min(dots) < max(dots) < high
    bare = quality_figure(table, bands=False).axes[0]
    assert np.ptp(bare.get_ylim()) < 15, "no dots, no room for them"


def test_the_interval_of_a_scheme_of_one_point_is_a_bar():
    table = a_point_beside_curves(6)
    figure = quality_figure(table)
    axes = figure.axes[0]
    (bar,) = [c.get_segments()[0] for c in axes.collections if hasattr(c, "get_segments")]
    found = interval(table.loc[table["policy"] == "lagrangian", "psnr_db"])
    np.testing.assert_allclose(bar[:, 0], CBRS[2])
    np.testing.assert_allclose(bar[:, 1], [found.mean - found.half_width, found.mean + found.half_width])
    assert axes.get_ylim()[0] < bar[0, 1] < bar[1, 1] < axes.get_ylim()[1]
    assert "Mean over 6 images; bands and bars: 95 % intervals over images." in notes(figure)


def test_few_snrs_have_their_ticks_and_low_panels_enough_of_them():
    table = results(snrs=(1.0, 4.0, 7.0, 20.0), cbrs=CBRS[:3], images=6)
    table["psnr_db"] = 24 + 18 * (table["snr_db"] / 20)
    figure = quality_figure(table, "snr_db", width="full")
    for axes in figure.axes:
        assert list(axes.get_xticks()) == [1, 4, 7, 20]
        low, high = axes.get_ylim()
        assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 4
    many = results(("uniform",), snrs=np.arange(11.0), cbrs=CBRS[:1], images=6)
    assert len(quality_figure(many, "snr_db").axes[0].get_xticks()) < 11


def test_an_axis_is_scaled_by_the_means():
    """Pictures of 10 to 50 dB make bands of 40 dB about curves of 9 dB."""
    table = results(images=5)
    table["psnr_db"] += 8 * (table["image"].str[0].astype(float) - 2)
    axes = quality_figure(table).axes[0]
    means = np.concatenate([line.get_ydata() for line in axes.lines])
    assert np.ptp(axes.get_ylim()) < 2 * np.ptp(means)
    filled = np.concatenate([path.vertices[:, 1] for c in axes.collections for path in c.get_paths()])
    assert np.ptp(filled) > 2 * np.ptp(axes.get_ylim())


@pytest.mark.parametrize("images", [3, 6])
def test_bands_can_be_left_out(images):
    figure = quality_figure(results(images=images), bands=False)
    assert not figure.axes[0].collections
    assert len(figure.axes[0].lines) == 3  # two policies, one envelope
    assert f"Mean over {images} images." in notes(figure)


def test_x_is_what_was_spent():
    table = results()
    table["cbr"] *= 0.9
    (line, *_) = quality_figure(table).axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), 0.9 * np.array(CBRS))


def test_repeats_are_no_further_images():
    twice = pd.concat([results(images=5), results(images=5, repeat=1)], ignore_index=True)
    twice["psnr_db"] += np.where(twice["repeat"] == 1, 1.0, -1.0)
    one, two = (quality_figure(table).axes[0] for table in (results(images=5), twice))
    np.testing.assert_allclose(one.lines[0].get_ydata(), two.lines[0].get_ydata())
    bands = [list(band(axes.collections[0]).values()) for axes in (one, two)]
    np.testing.assert_allclose(*bands)


def test_budgets_of_six_digits_are_the_fractions_that_they_were():
    """As published tables have them."""
    assert [as_fraction(float(f"{1 / n:.6g}")) for n in (96, 48, 24, 12, 3)] == [
        "1/96", "1/48", "1/24", "1/12", "1/3",
    ]  # fmt: skip
    assert as_fraction(0.0208) == "0.0208"


def test_over_snr_and_in_panels():
    table = results(snrs=(1.0, 10.0, 20.0))
    figure = quality_figure(table, "snr_db", "ssim", width="full")
    assert [axes.get_title() for axes in figure.axes] == ["CBR 1/48", "CBR 1/24", "CBR 1/16", "CBR 1/8"]
    assert list(lines(figure, 3)["uniform"].get_xdata()) == [1, 10, 20]
    np.testing.assert_allclose(lines(figure, 3)["uniform"].get_ydata(), 0.815)
    assert figure.axes[0].get_ylabel() == "SSIM"
    assert [axes.get_title() for axes in quality_figure(table).axes] == ["SNR 1 dB", "SNR 10 dB", "SNR 20 dB"]


def test_one_image_has_no_band():
    figure = quality_figure(results(images=1))
    assert "One image: no interval" in notes(figure)
    assert np.isnan(np.concatenate([c.get_paths()[0].vertices for c in figure.axes[0].collections
                                    if c.get_paths()] or [[np.nan]])).all()  # fmt: skip


@pytest.mark.parametrize(("status", "count"), [("infeasible", 4), ("infeasible", 1), ("failed", 2)])
def test_a_point_without_all_images_is_left_out_and_named(status, count):
    table = results()
    for image in range(count):
        table = lose(table, status, policy="lagrangian", cbr_budget=CBRS[0], image=f"{image}.png")
    figure = quality_figure(table)
    np.testing.assert_allclose(lines(figure)["lagrangian"].get_xdata(), CBRS[1:])
    np.testing.assert_allclose(lines(figure)["uniform"].get_xdata(), CBRS)
    assert f"Left out: lagrangian at CBR 1/48 ({status}: {count} of 4 images)." in notes(figure)


def test_a_curve_without_any_point_is_named_below_and_not_in_the_legend():
    figure = quality_figure(lose(results(), "infeasible", policy="lagrangian"))
    assert "lagrangian" not in labels(figure)
    assert "uniform" in labels(figure)
    assert "Left out: lagrangian" in notes(figure)


def test_trials_that_were_not_run_are_named():
    table = results()
    missing = (table["image"] == "2.png") & (table["cbr_budget"] == CBRS[1]) & (table["policy"] == "uniform")
    assert "uniform at CBR 1/24 (not run: 1 of 4 images)" in notes(quality_figure(table[~missing]))


def test_a_structural_measure_that_some_pictures_are_too_small_for():
    table = results()
    table.loc[table["image"] == "0.png", "ms_ssim"] = None
    with pytest.raises(
        InputError, match=r"nothing to draw.*Left out: every point \(no ms_ssim: 1 of 4 images\)\.$"
    ):
        quality_figure(table, y="ms_ssim")
    some = results()
    some.loc[(some["image"] == "0.png") & (some["cbr_budget"] == CBRS[0]), "ms_ssim"] = None
    said = notes(quality_figure(some, y="ms_ssim"))
    assert "uniform at CBR 1/48 (no ms_ssim: 1 of 4 images); lagrangian at CBR 1/48 (no ms_ssim" in said


def lossy(image, *places):
    """Two repeats; the image's frames of (policy, CBR, repeat) are lost."""
    table = pd.concat([results(), results(repeat=1)], ignore_index=True)
    for policy, cbr, repeat in places:
        lost = (table["image"] == image) & (table["policy"] == policy)
        lost &= (table["cbr_budget"] == cbr) & (table["repeat"] == repeat)
        table.loc[lost, ["outage", "psnr_db", "mse"]] = [True, 10.0, 6502.5]
    return table


def test_outages_count_or_not():
    """Without them a mean is over the frames that arrived, as long as some of every image did."""
    table = lossy("0.png", ("uniform", CBRS[0], 0), ("uniform", CBRS[1], 0), ("uniform", CBRS[1], 1))
    counted, without = quality_figure(table), quality_figure(table, outages=False)
    each = [[psnr_of("uniform", 10.0, cbr, image) for image in range(4)] for cbr in CBRS]
    some, none = np.mean([(each[0][0] + 10) / 2, *each[0][1:]]), np.mean([10, *each[1][1:]])
    np.testing.assert_allclose(lines(counted)["uniform"].get_ydata()[:2], [some, none])
    kept = [at for at in range(4) if at != 1]
    line = lines(without)["uniform"]
    shown = np.isfinite(line.get_ydata())
    assert shown.tolist() == [True, False, True, True], "no line bridges the gap"
    np.testing.assert_allclose(line.get_xdata()[shown], np.array(CBRS)[kept])
    np.testing.assert_allclose(line.get_ydata()[shown], np.mean(each, axis=1)[kept])
    assert "3 of 64 frames were lost, and count as mid-grey" in notes(counted)
    assert "without outages" in without.axes[0].get_ylabel()
    assert "Left out: uniform at CBR 1/24 (no frame arrived: 1 of 4 images)." in notes(without)
    assert "are left out. Means over fewer: uniform 7 of 8 at CBR 1/48." in notes(without)
    assert "Means over fewer" not in notes(quality_figure(results(), outages=False))


def test_the_envelope_without_outages_is_of_frames_that_arrived():
    """Lost frames are no points of it; it has every image or is not there."""
    lost = [("uniform", CBRS[0], 0), ("uniform", CBRS[0], 1)]
    shown = lines(quality_figure(lossy("0.png", *lost), outages=False))["envelope of uniform"]
    assert shown.get_xdata().min() == pytest.approx(CBRS[1])
    whole = lines(quality_figure(results()))["envelope of uniform"]
    same = np.interp(shown.get_xdata(), whole.get_xdata(), whole.get_ydata())
    np.testing.assert_allclose(shown.get_ydata(), same, atol=0.01)
    gone = [("uniform", cbr, repeat) for cbr in CBRS for repeat in (0, 1)]
    assert "envelope of uniform" not in labels(quality_figure(lossy("0.png", *gone), outages=False))


def test_gains_without_outages_are_over_frames_that_arrived():
    """Uniform's smallest frame was lost: against it a gain would be many dB."""
    table = lossy("0.png", ("uniform", CBRS[0], 0), ("uniform", CBRS[0], 1), ("lagrangian", CBRS[3], 1))
    figure = gain_figure(table, outages=False)
    heights = [bar.get_height() for bar in figure.axes[0].containers[0]]
    np.testing.assert_allclose(heights, 1.0)
    assert len(heights) == 3
    assert "lagrangian at CBR 1/48 (outside uniform's envelope: 1 of 4 images)" in notes(figure)
    assert "Means over fewer: lagrangian 7 of 8 at CBR 1/8." in notes(figure)


def test_a_point_with_a_lossless_frame_is_left_out():
    table = pd.concat([results(), results(repeat=1)], ignore_index=True)
    lossless = (table["image"] == "1.png") & (table["cbr_budget"] == CBRS[3]) & (table["repeat"] == 1)
    table.loc[lossless & (table["policy"] == "uniform"), ["psnr_db", "mse"]] = [None, 0.0]
    figure = quality_figure(table)
    np.testing.assert_allclose(lines(figure)["uniform"].get_xdata(), CBRS[:3])
    assert "Left out: uniform at CBR 1/8 (lossless: 1 of 4 images)." in notes(figure)


def test_whoever_spends_less_than_the_budget_is_named_where_the_axis_does_not_show_it():
    table = results(snrs=(1.0, 10.0))
    assert "Spent" not in notes(quality_figure(table, "snr_db"))
    table.loc[table["policy"] == "lagrangian", "cbr"] *= 0.8
    figures = [quality_figure(table, "snr_db"), outage_figure(table), gain_figure(table)]
    for figure in figures:
        assert "Spent of the budget at least: lagrangian 80%." in notes(figure)
    assert "Spent" not in notes(quality_figure(table))


def test_a_companions_frames_are_named():
    table = results(snrs=(10.0, 20.0))
    assert "Coded" not in notes(quality_figure(table)), "a table of before there was the column"
    table = table.assign(coder="conv")
    assert "Coded" not in notes(quality_figure(table))
    high = (table["policy"] == "lagrangian") & (table["snr_db"] == 20)
    table.loc[high & (table["cbr_budget"] == CBRS[-1]) & (table["image"] != "0.png"), "coder"] = "linear"
    words = "Coded: lagrangian by conv 13, linear 3 of 16 frames (20 dB)."
    assert words in notes(quality_figure(table))
    assert words in notes(gain_figure(table))
    assert words in notes(outage_figure(table, "cbr"))
    alone = results(("uniform",), coder="linear")
    assert "Coded: uniform by linear 16 of 16 frames." in notes(quality_figure(alone))
    assert "Coded" not in notes(quality_figure(results(("uniform",), coder="conv", zoo_sha256="a" * 64)))


def test_a_digital_chains_modes_are_named():
    chain = {"system": "hevc+ldpc", "policy": "", "complexity": "", "zoo": ""}
    table = results(("uniform",), snrs=(1.0, 10.0, 16.0), cbrs=(1 / 16,), coder="16qam-658").assign(**chain)
    assert "Coded" not in notes(quality_figure(table))
    table.loc[table["snr_db"] == 1, "coder"] = "qpsk-602"
    assert "Coded: hevc+ldpc by 16qam-658 8, qpsk-602 4 of 12 frames." in notes(
        quality_figure(table, "snr_db")
    )
    table["coder"] = [f"mode-{number // 2}" for number in range(12)]
    assert "by mode-0 2, mode-1 2, mode-2 2, mode-3 2, 2 others of 12 frames." in notes(
        quality_figure(table, "snr_db")
    )
    table["coder"] = [f"mode-{min(number // 2, 4)}" for number in range(12)]
    assert "by mode-4 4, mode-0 2, mode-1 2, mode-2 2, 1 other of 12 frames." in notes(
        quality_figure(table, "snr_db")
    )


def test_a_genie_is_marked():
    table = pd.concat([results(), results(side_info="genie")], ignore_index=True)
    figure = quality_figure(table)
    assert [label for label in labels(figure) if "genie" in label] == [
        "uniform (genie)",
        "lagrangian (genie)",
    ]
    filled, hollow = (lines(figure)[name] for name in ("lagrangian", "lagrangian (genie)"))
    assert filled.get_color() == hollow.get_color() == filled.get_markerfacecolor()
    assert hollow.get_markerfacecolor() == "white"
    assert "genie: side information free" in notes(figure)
    assert "genie" not in notes(quality_figure(results()))


def test_an_oracle_is_marked():
    assert "oracle (not realisable)" in labels(quality_figure(results(("uniform", "oracle"))))


def test_what_varies_is_in_the_labels():
    table = pd.concat([results(), results(zoo="a/linear", channel="rayleigh-slow")], ignore_index=True)
    shown = [label for label in labels(quality_figure(table)) if "envelope" not in label]
    assert shown == [f"{p}, {rest}" for p in ("uniform", "lagrangian")
                     for rest in ("linear, rayleigh-slow", "conv, awgn")]  # fmt: skip
    clash = pd.concat([results(zoo="a/conv"), results(zoo="b/conv")], ignore_index=True)
    assert "uniform, a/conv" in labels(quality_figure(clash))


def test_a_retrained_zoo_is_another_curve():
    table = pd.concat([results(zoo_sha256="a" * 64), results(zoo_sha256="b" * 64)], ignore_index=True)
    assert {"uniform, conv aaaaaaa", "uniform, conv bbbbbbb"} <= set(labels(quality_figure(table)))


def test_a_mistaken_sender_has_a_curve_that_holds_the_snr_at_which_it_is_right():
    right = results(("uniform",), snrs=(1.0, 10.0, 20.0), cbrs=(1 / 16,))
    wrong = results(("uniform",), snrs=(1.0, 20.0), cbrs=(1 / 16,), sender_snr_db=10.0)
    figure = quality_figure(pd.concat([right, wrong], ignore_index=True), "snr_db")
    assert labels(figure) == ["sender knows the SNR", "sender believes 10 dB"]
    assert all(list(line.get_xdata()) == [1, 10, 20] for line in lines(figure).values())
    alone = pd.concat([right[right["snr_db"] == 10], wrong], ignore_index=True)
    assert labels(quality_figure(alone, "snr_db")) == ["sender believes 10 dB"]


def test_colours_are_told_apart_without_colour():
    figure = quality_figure(results(tuple(GAINS_DB)))
    drawn = [line for label, line in lines(figure).items() if "envelope" not in label]
    assert len({line.get_marker() for line in drawn}) == 4
    assert len({str(line._dash_pattern) for line in drawn}) == 4  # get_linestyle says no more than "--"
    assert {to_hex(line.get_color()).upper() for line in drawn} <= set(COLOURS)


def test_too_much_for_one_figure():
    with pytest.raises(InputError, match="13 values of snr_db"):
        quality_figure(results(snrs=tuple(map(float, range(13)))))
    many = pd.concat([results(zoo=f"z{n}") for n in range(7)], ignore_index=True)
    with pytest.raises(InputError, match="14 curves"):
        quality_figure(many)


def test_the_headers_share_is_over_all_pictures_of_a_size_or_left_out():
    small = results(("uniform",), images=3).replace({f"{n}.png": f"small{n}.png" for n in range(3)})
    table = pd.concat([results(("uniform",)), small.assign(height=32, header_uses=20)], ignore_index=True)
    figure = overhead_figure(lose(table, "infeasible", image="small1.png", cbr_budget=CBRS[0]))
    least, most = (lines(figure)[f"CBR {name}"] for name in ("1/48", "1/8"))
    assert list(least.get_xdata()) == [HEIGHT * WIDTH]
    assert list(most.get_xdata()) == [32 * WIDTH, HEIGHT * WIDTH]
    np.testing.assert_allclose(most.get_ydata(), [20 / UNIFORM_USES[3], 40 / UNIFORM_USES[3]])
    assert "Means over 3 to 4 pictures of each size" in notes(figure)
    assert "Left out, not all pictures have a frame: 3072 pixels at CBR 1/48." in notes(figure)


def test_plain_curves_have_bands_where_half_widths_are_given():
    curves = {"plain": ([1, 2], [3, 4]), "banded": ([1, 2], [5, 6], [0.5, 0.25])}
    axes = lines_figure([Panel("x", "y", curves)]).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[3, 4], [5, 6]]
    (filled,) = axes.collections
    assert band(filled) == {1: (4.5, 5.5), 2: (5.75, 6.25)}


def test_points_of_plain_lines_have_names():
    curves = {"a": ([1 / 48, 1 / 8], [1.0, 2.0]), "b": ([1 / 96, 1 / 8], [1.0, 2.0])}
    panel = Panel("CBR", "y", curves, log_x=True, x_name=as_fraction)
    axes = lines_figure([panel]).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1/96", "1/48", "1/8"]
    assert not len(axes.get_xticks(minor=True))


# --- uniform's envelope and gains ------------------------------------------------------------------


def test_the_envelope_is_the_mean_of_the_images_envelopes():
    figure = quality_figure(results())
    line = lines(figure)["envelope of uniform"]
    for cbr, psnr_db in zip(line.get_xdata()[::7], line.get_ydata()[::7], strict=True):
        each = []
        for image in range(4):
            mse = [255**2 / 10 ** (psnr_of("uniform", 10.0, c, image) / 10) for c in CBRS]
            each.append(envelope_mse(cbr * 3 * HEIGHT * WIDTH, *lower_envelope(UNIFORM_USES, mse)))
        assert psnr_db == pytest.approx(np.mean(10 * np.log10(255**2 / np.array(each))))


def test_the_envelope_of_a_specialised_zoo_has_its_parent_in_it():
    special = results(zoo="special")
    special["psnr_db"] -= 1.0
    special["mse"] *= 10**0.1
    table = check_table(pd.concat([results(("uniform",)), special], ignore_index=True))
    (own,), (shared,) = envelopes(table), envelopes(table, {"special": "conv"})
    np.testing.assert_allclose(shared.psnr_db - own.psnr_db, 1.0)
    gains = with_gains(table)["gain_db"] - with_gains(table, {"special": "conv"})["gain_db"]
    np.testing.assert_allclose(gains, 1.0)
    with pytest.raises(InputError, match="no zoo 'parent'"):
        with_gains(table, {"special": "parent"})


def test_gain_bars_are_paired():
    figure = gain_figure(results(("uniform", "lagrangian", "random"), images=6))
    expected = interval([1.5, 0.5, 1.5, 0.5, 1.5, 0.5])
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1/48", "1/24", "1/16", "1/8"]
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers if hasattr(bars, "patches")]
    random, lagrangian = heights
    np.testing.assert_allclose(lagrangian, expected.mean)
    np.testing.assert_allclose(random, -expected.mean)
    whiskers = [
        np.ptp(segment[:, 1]) / 2 for collection in axes.collections for segment in collection.get_segments()
    ]
    np.testing.assert_allclose(whiskers, expected.half_width)
    assert labels(figure) == ["random", "lagrangian"]
    assert "paired 95 % intervals" in notes(figure)


def test_gains_of_few_images_are_dots():
    axes = gain_figure(results(images=3)).axes[0]
    assert not any(len(s) for collection in axes.collections for s in collection.get_segments())
    dots = [line.get_ydata() for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, [[1.5] * 4, [0.5] * 4, [1.5] * 4])


def test_systems_without_uniform_frames_take_no_part_in_gains():
    """No slot for a bar, no entry in the legend, one note; the other bars stand on their ticks."""
    table = results(images=6)
    chain = results(("uniform",), images=6, system="jpeg+ldpc", policy="", zoo="", complexity="")
    figure = gain_figure(pd.concat([table, chain], ignore_index=True))
    assert labels(figure) == ["lagrangian, block-jscc"]
    bars = [bar for bars in figure.axes[0].containers if hasattr(bars, "patches") for bar in bars]
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], range(4), atol=1e-9)
    assert "Without uniform frames, so not compared: jpeg+ldpc." in notes(figure)
    assert "envelope:" not in notes(figure)
    without = gain_figure(table)
    assert "not compared" not in notes(without)


def test_a_specialised_zoo_is_compared_by_its_parents_frames():
    table = results(images=6)
    special = table[table["policy"] == "lagrangian"].assign(zoo="special")
    both = pd.concat([table, special], ignore_index=True)
    assert "not compared: lagrangian, special" in notes(gain_figure(both))
    assert len(labels(gain_figure(both, parents={"special": "conv"}))) == 2


def test_gain_interpolates_between_uniform_frames_in_mse():
    table = results(images=1)
    row = (table["policy"] == "lagrangian") & (table["cbr_budget"] == CBRS[1])
    table.loc[row, "uses"] = (UNIFORM_USES[1] + UNIFORM_USES[2]) / 2
    gains = with_gains(check_table(table))["gain_db"].to_numpy()
    low, high = (255**2 / 10 ** (psnr_of("uniform", 10.0, c, 0) / 10) for c in CBRS[1:3])
    mse = 255**2 / 10 ** (psnr_of("lagrangian", 10.0, CBRS[1], 0) / 10)
    assert gains[1] == pytest.approx(10 * np.log10((low + high) / 2 / mse))


@pytest.mark.parametrize(("share", "known"), [(1.0, True), (0.995, True), (0.98, False)])
def test_no_gain_below_the_smallest_uniform_frame(share, known):
    table = results()
    row = (table["policy"] == "lagrangian") & (table["cbr_budget"] == CBRS[0])
    table.loc[row, "uses"] *= share
    figure = gain_figure(table)
    assert ("lagrangian at CBR 1/48 (outside uniform's envelope: 4 of 4 images)" in notes(figure)) != known
    gains = with_gains(check_table(table))["gain_db"]
    assert gains.isna().sum() == (0 if known else 4)
    np.testing.assert_allclose(sorted(gains.dropna().round(9).unique()), [0.5, 1.5])


@pytest.mark.parametrize(
    ("policies", "why"),
    [(("lagrangian",), "no rows of the policy uniform"), (("uniform",), "all its rows are uniform")],
)
def test_gains_need_uniform(policies, why):
    with pytest.raises(InputError, match=why):
        gain_figure(results(policies))


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("equaliser", "zf", "equaliser is mmse in its uniform rows, zf in the others"),
        ("zoo", "other", "zoo is .* in its uniform rows, other in the others"),
    ],
)
def test_gains_name_what_sets_rows_apart(column, value, why):
    table = results(("uniform", "lagrangian"))
    table.loc[table["policy"] == "lagrangian", column] = value
    with pytest.raises(InputError, match=why):
        gain_figure(table)


# --- outage ---------------------------------------------------------------------------------------


def test_outage_rates_with_exact_intervals():
    table = pd.concat([results(("uniform",), (0.0, 10.0, 20.0), (1 / 16,), 8, repeat=r) for r in (0, 1)])
    table = table.assign(channel="rayleigh-slow", outage=False).reset_index(drop=True)
    table.loc[table.index[(table["snr_db"] == 0)][:6], "outage"] = True
    table.loc[table.index[(table["snr_db"] == 10)][:1], "outage"] = True
    axes = outage_figure(table).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [6 / 16, 1 / 16, np.nan])
    ends = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [proportion(6, 16), proportion(1, 16)])
    bounds = [line for line in axes.lines if list(line.get_xdata()) == [20]]
    ends = sorted(float(line.get_ydata()[0]) for line in bounds)
    np.testing.assert_allclose(ends[1], 1 - 0.025 ** (1 / 16))
    assert 0 < ends[0] < ends[1], "the arrow points down from the bar"
    assert axes.get_yscale() == "log"


def test_bounds_are_joined_by_no_line():
    """A line through them reads as a rate that was measured: 14 % of 24 frames of which none was lost."""
    whole = outage_figure(results(snrs=(1.0, 10.0, 20.0), cbrs=(1 / 16,), images=24)).axes[0]
    table = pd.DataFrame({"mode": "qpsk-602", "block_bits": 1024, "snr_db": [1.0, 2.0, 3.0], "blocks": 50,
                          "errors": [10, 0, 0]})  # fmt: skip
    for axes in (whole, waterfall_figure(table).axes[0]):
        seen = [np.isfinite(line.get_ydata()).sum() for line in axes.lines if line.get_linestyle() != "None"]
        assert max(seen) <= 1, seen
        bounds = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert sum(len(line.get_xdata()) for line in bounds) >= 4, "bars and arrows"


def test_the_exact_interval_of_a_proportion():
    assert proportion(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert proportion(10, 10) == pytest.approx((0.025**0.1, 1))
    assert proportion(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)  # Clopper and Pearson's table


# --- published curves -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("*.csv")), ids=lambda path: path.stem)
def test_published_curves(path):
    table = read_references([path])
    measured = [name for name in ("psnr_db", "ms_ssim") if name in table]
    assert list(table.columns) == ["scheme", "channel", "source", "pictures", "snr_db", "cbr", *measured]
    assert set(table["pictures"]) == {"kodak"}
    assert table["psnr_db"].between(20, 40).all()
    assert table["cbr"].between(0.01, 0.34).all()
    assert table["source"].str.contains("not counted|no side information").all()
    assert table["source"].str.len().max() <= 75, "one line of a figure"
    for _, curve in table.groupby(["scheme", "source", "snr_db"]):
        for name in measured:
            assert curve[name].dropna().is_monotonic_increasing


def test_there_are_published_curves():
    schemes = set(read_references(sorted(REFERENCES.glob("*.csv")))["scheme"])
    assert {"SwinJSCC", "WITT", "DeepJSCC", "BPG + 5G LDPC", "VTM + 5G LDPC", "NTSCC+"} < schemes


def kodak(**more):
    """A table of all pictures of the Kodak set."""
    table = results(images=24, **more)
    return table.assign(image=[f"kodak/kodim{int(name[:-4]) + 1:02}.png" for name in table["image"]])


def test_published_curves_are_thin_and_name_their_source():
    references = read_references([REFERENCES / "swinjscc.csv", REFERENCES / "bpg_ldpc.csv"])
    figure = quality_figure(kodak(), references=references)
    swin, bpg = (lines(figure)[name] for name in ("SwinJSCC [1]", "BPG + 5G LDPC [2]"))
    assert list(swin.get_ydata()) == [29.04, 31.55, 33.17, 34.41, 36.05]
    np.testing.assert_allclose(swin.get_xdata(), [1 / 48, 1 / 24, 1 / 16, 1 / 12, 1 / 8], rtol=1e-4)
    assert max(swin.get_linewidth(), bpg.get_linewidth()) < lines(figure)["uniform"].get_linewidth()
    assert re.search(r"\[1\] authors' issue tracker.*not counted\. \[2\] NTSCC\+", notes(figure))
    similar = quality_figure(kodak(), y="ms_ssim", references=references)
    assert list(lines(similar)["SwinJSCC [1]"].get_ydata()) == [0.9434, 0.9673, 0.9772, 0.9816, 0.986]
    assert "BPG" not in " ".join(labels(similar))
    with pytest.raises(InputError, match="published curves give psnr_db, ms_ssim, not ssim"):
        quality_figure(kodak(), y="ssim", references=references)
    over_snr = quality_figure(kodak(snrs=(1.0, 13.0), cbrs=(1 / 16,)), "snr_db", references=references)
    assert list(lines(over_snr)["SwinJSCC [1]"].get_ydata()) == [29.54, 31.09, 32.27, 33.17, 33.80]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"psnr_db": None}, "no column psnr_db or ssim or ms_ssim"),
        ({"ms_ssim": 14.5}, r"has 14.5 in column ms_ssim: its limits are -1 and 1"),
        ({"cbr": ""}, "a row without cbr"),
    ],
)
def test_published_curves_that_are_none(tmp_path, columns, words):
    row = {"scheme": "a", "channel": "awgn", "snr_db": 10, "cbr": 0.1, "psnr_db": 30, "source": "b"} | columns
    pd.DataFrame([row]).dropna(axis=1).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=words):
        read_references([tmp_path / "a.csv"])


def test_published_similarity_at_the_command_line(tmp_path, capsys):
    kodak().to_csv(tmp_path / "rows.csv", index=False)
    command = [
        "plot",
        str(tmp_path / "rows.csv"),
        "--reference",
        str(REFERENCES),
        "--out",
        str(tmp_path / "a.png"),
    ]
    assert main([*command, "--y", "ms_ssim"]) == 0
    assert main([*command, "--y", "outage"]) == 2
    assert "--reference is of means of quality, not of outage" in capsys.readouterr().err


def test_published_curves_of_other_conditions_stay_away(caplog):
    references = read_references([REFERENCES / "swinjscc.csv"])
    for table in (kodak(snrs=(2.0,)), kodak(channel="rayleigh-slow")):
        figure = quality_figure(table, references=references)
        assert not any("Swin" in label for label in labels(figure))
        assert "No published curve is for these conditions" in notes(figure)
        assert caplog.messages == ["no published curve over cbr is drawn: none is for these conditions"]
        caplog.clear()
    quality_figure(kodak(), references=references)
    assert not caplog.messages


def test_published_curves_of_other_pictures_stay_away_unless_asked_for(tmp_path, caplog):
    references = read_references([REFERENCES / "swinjscc.csv"])
    some = kodak()
    some = some[some["image"].str.contains("kodim0")]
    for table in (results(), some):
        figure = quality_figure(table, references=references)
        assert not any("Swin" in label for label in labels(figure))
        assert "Published curves of other pictures (kodak) are left out." in notes(figure)
        assert "No published curve" not in notes(figure)
        assert caplog.messages == ["no published curve over cbr is drawn: they are of other pictures"]
        caplog.clear()
        shown = quality_figure(table, references=references, other_pictures=True)
        assert "SwinJSCC, other pictures [1]" in labels(shown)
    assert "SwinJSCC [1]" in labels(quality_figure(kodak(), references=references, other_pictures=True))
    own = references.assign(pictures="0 1 2 3")
    own.to_csv(tmp_path / "own.csv", index=False)
    own.drop(columns="pictures").to_csv(tmp_path / "silent.csv", index=False)
    for name in ("own", "silent"):
        figure = quality_figure(results(), references=read_references([tmp_path / f"{name}.csv"]))
        assert "SwinJSCC [1]" in labels(figure)
    computed = references.drop(columns="pictures").assign(scheme="a bound")
    for curves in (computed, pd.concat([references, computed], ignore_index=True)):
        drawn = labels(quality_figure(results(), references=curves))
        assert [label for label in drawn if "[" in label] == ["a bound [1]"]


# --- names and numbers from anyone -------------------------------------------------------------------


def shown(figure):
    """What the legend and the notes say once they are drawn, a formula as its source."""
    figure.savefig(io.BytesIO(), format="svg")
    texts = [*figure.legends[0].get_texts(), *figure.texts]
    read = [text._preprocess_math(text.get_text()) for text in texts]
    assert not any(is_formula for _, is_formula in read)
    return " ".join(text for text, _ in read)


@pytest.mark.parametrize("name", ["$A_$B", r"$\frac{", "run_$x$", "_hidden", r"a\$b", "50 $"])
def test_names_are_no_formulas(name):
    table = results()
    table["policy"] = table["policy"].replace("lagrangian", name)
    assert name in shown(quality_figure(table))
    assert f"policy {name}" in shown(quality_figure(table[table["policy"] == name]))


@pytest.mark.parametrize("column", ["mse", "cbr", "cbr_budget", "snr_db", "psnr_db", "seconds"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_numbers_are_refused(column, value):
    table = results()
    table.loc[3, column] = value
    with pytest.raises(InputError, match=f"table has an infinite number in column {column}"):
        check_table(table)


@pytest.mark.parametrize("column", ["mse", "psnr_db", "height", "papr_db"])
@pytest.mark.parametrize("value", [1e308, -1e16, 10**400])
def test_numbers_that_no_axis_has_room_for_are_refused(column, value):
    table = results().assign(papr_db=3.0).astype({column: object})
    table.loc[3, column] = value
    with pytest.raises(InputError, match=rf"table has a number beyond 1e\+15 in column {column}"):
        check_table(table)


@pytest.mark.parametrize("column", ["mse", "cbr", "height", "uses", "seconds"])
def test_counts_below_nothing_are_refused(column):
    table = results().astype({column: float})
    table.loc[3, column] = -2.5
    with pytest.raises(InputError, match=f"table has -2.5, below 0, in column {column}"):
        check_table(table)


@pytest.mark.parametrize("value", ["maybe", "7", 7, 0.5])
def test_an_outage_is_true_or_false(value):
    """Anything else was taken for a frame that arrived."""
    table = results().astype({"outage": object})
    table.loc[3, "outage"] = value
    with pytest.raises(InputError, match=f"table has '{value}' in column outage, not true or false"):
        check_table(table)


@pytest.mark.parametrize("values", [(True, False), ("True", ""), ("1", "0"), (1.0, None), (1, np.nan)])
def test_outages_as_programs_write_them(values):
    table = results().astype({"outage": object})
    table.loc[3, "outage"], table.loc[4, "outage"] = values
    assert check_table(table)["outage"].tolist()[3:5] == [True, False]


def test_a_table_of_too_many_columns_is_refused_at_once(tmp_path):
    (tmp_path / "wide.csv").write_text(200_000 * "a," + "\n")
    started = time.monotonic()
    with pytest.raises(InputError, match="it has 200001 columns, and 1000 are the limit"):
        read_csv(tmp_path / "wide.csv")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ["画像", "a\x00b", "\u202ereversed", "tab\there"])
def test_names_without_glyphs_are_drawn_without_a_word(name):
    table = results()
    table["policy"] = table["policy"].replace("lagrangian", name)
    for kind in ("png", "svg", "pdf"):
        assert figure_bytes(quality_figure(table), kind)
    visible = name if name == "画像" else ascii(name)[1:-1]
    assert any(visible in label for label in labels(quality_figure(table)))


def test_a_name_of_many_letters_is_refused():
    with pytest.raises(InputError, match="a text of 100000 letters in column policy: the limit is 500"):
        check_table(results().assign(policy=100_000 * "a"))


# --- metrics of anybody's -----------------------------------------------------------------------------


def test_any_metric_of_the_table_is_drawn():
    table = results()
    table["gmsd"], table["mine"] = 1 - table["ssim"], np.sqrt(table["mse"])
    for column, label in (("gmsd", "GMSD"), ("mine", "mine")):
        figure = quality_figure(table, y=column)
        assert figure.axes[0].get_ylabel() == label
        assert all(len(line.get_xdata()) == len(CBRS) for line in lines(figure).values())
    with pytest.raises(InputError, match="'lpips' is none of the table's metrics, which are psnr_db, ssim, "):
        quality_figure(table, y="lpips")
    with pytest.raises(InputError, match="'seconds' is none of the table's metrics"):
        quality_figure(table, y="seconds")
    figure = quality_figure(table, y="mine", label="root of the error")
    assert figure.axes[0].get_ylabel() == "root of the error"


def test_a_legend_of_long_names_fits():
    table = results()
    table["policy"] = (
        table["policy"] + "_of_somebody_whose_class_has_a_very_long_name_indeed:parameter=0.123456789"
    )
    figure = quality_figure(table)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
