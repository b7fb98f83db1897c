"""What is measured, as tables of Markdown: each of one or more tables in results/."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from compare_systems import Comparison, compare
from learned_generative import gains as generative_gains
from learned_gmm import at_equal_bits
from study import file_part, references

from jscc_sim.errors import InputError, one_line
from jscc_sim.plots.gains import with_gains
from jscc_sim.plots.table import SCHEME, read_csv
from jscc_sim.statistics import Interval, interval

RESULTS = Path(__file__).resolve().parent.parent / "results"
CBRS = ("1/48", "1/24", "1/16", "1/12", "1/8")
ZOO_SNRS_DB, ZOO_CBRS = (1, 10, 20), ("1/48", "1/16", "1/8")
"""At which zoos are told apart."""

KODAK = 24
"""Pictures of which it is not said how many."""

NONE = "–"
RIVALS = (
    *("vvc+ideal", "hevc+ideal", "vvc+ldpc-abstraction", "block-jscc", "hevc+ldpc", "avif+ldpc-abstraction"),
    *("jpeg2000+ldpc-abstraction", "jpeg+ldpc-abstraction", "softcast"),
)
COMPARED = (
    *(("hevc+ldpc", snr_db) for snr_db in (1, 10, 20)),
    *(("vvc+ldpc-abstraction", snr_db) for snr_db in (1, 10, 20)),
    *(("avif+ldpc-abstraction", 10), ("jpeg2000+ldpc-abstraction", 10)),
)
FADES = {
    "block-jscc": "`block-jscc`, which knows the average alone",
    "hevc+ldpc-abstraction:csit": "`hevc+ldpc-abstraction:csit`, which knows each frame's fading",
    "hevc+ldpc-abstraction": "`hevc+ldpc-abstraction`, which knows the average alone",
    "hevc+ldpc-abstraction:16qam-378": "the same with one mode, 16QAM at 378/1024",
}
OFDM = ("tdl-a:100:3", "tdl-a:100:30", "tdl-c:300:3", "tdl-c:300:30")


def quality() -> str:
    """SNR down, CBR across: the default zoo and policy."""
    table = results("psnr_vs_cbr")
    own = table[table["policy"] == "lagrangian"]
    gains = with_gains(table)
    gains = gains[(gains["policy"] == "lagrangian") & at(gains, "1/16")]
    high = results("psnr_vs_snr")
    high = high[(high["zoo"] == "conv") & (high["snr_db"] == 20)]
    lines = []
    for snr_db, rows in [*own.groupby("snr_db"), (20.0, high)]:
        gain = gains.loc[gains["snr_db"] == snr_db, "gain_db"]
        shown = signed(interval(gain).text(2, "+")) if len(gain) else ""
        lines.append([f"{snr_db:g} dB", *over_cbr(rows), shown])
    return markdown(["SNR \\ CBR", *CBRS, "gain over uniform at 1/16"], lines)


def published() -> str:
    """PSNR beside the figures that others give."""
    others = ("SwinJSCC", "NTSCC+ compatible", "BPG + 5G LDPC")
    return _beside(((10, others), (4, others[:1]), (1, others[:1])), "psnr_db", 2)


def similarity() -> str:
    """MS-SSIM beside the figures that others give."""
    return _beside(((10, ("SwinJSCC",)), (1, ("SwinJSCC",))), "ms_ssim", 3, ("lagrangian", "uniform"))


def _beside(
    chosen: Iterable[tuple[float, Sequence[str]]],
    metric: str,
    places: int,
    policies: Sequence[str] = ("lagrangian",),
) -> str:
    table = results("psnr_vs_cbr")
    curves = references("swinjscc", "ntscc", "bpg_ldpc")
    lines = []
    for snr_db, schemes in chosen:
        for policy in policies:
            rows = table[(table["policy"] == policy) & (table["snr_db"] == snr_db)]
            name = "**`conv`**" if policy == "lagrangian" else f"`conv`, {policy}"
            lines.append([f"{snr_db} dB", name, *over_cbr(rows, metric, places)])
        for scheme in schemes:
            points = curves[(curves["scheme"] == scheme) & (curves["snr_db"] == snr_db)]
            lines.append(["", scheme, *(cell(points.loc[at(points, cbr), metric], places) for cbr in CBRS)])
    return markdown(["SNR", "", *CBRS], lines)


def zoos() -> str:
    """The released ones."""
    table = results("psnr_vs_snr")
    points = [(snr_db, cbr) for snr_db in ZOO_SNRS_DB for cbr in ZOO_CBRS]
    lines = [
        [f"`{zoo}`", *(mean for means in zoo_means(rows).values() for mean in means)]
        for zoo, rows in table.groupby("zoo")
    ]
    for other in ("conv-small", "linear"):
        found = {found.place: found for found in compare(table, "zoo", "conv", other)}
        cells = [difference(found[f"awgn {snr_db} dB, CBR {cbr}"]) for snr_db, cbr in points]
        lines.append([f"`conv` over `{other}`", *cells])
    return markdown(["zoo", *(f"{snr_db} dB, {cbr}" for snr_db, cbr in points)], lines)


def below_uniform() -> str:
    """Where the policy's prediction erred."""
    table = results("psnr_vs_cbr")
    lines = []
    for snr_db, rows in table.groupby("snr_db"):
        both = rows.pivot_table("psnr_db", ["image", "cbr_budget"], "policy")
        gain = both["lagrangian"] - both["uniform"]
        worse = gain[gain < 0]
        lines.append(
            [
                f"{snr_db:g} dB",
                f"{len(worse)} of {len(gain)}",
                f"{-worse.min():.2f} dB" if len(worse) else NONE,
            ]
        )
    return markdown(["SNR", "frames below uniform", "the worst by"], lines)


def policies() -> str:
    """All of them, paired with the default."""
    table = results("policies")
    table = table[at(table, "1/16")]
    lines = []
    for policy, rows in sorted(table.groupby("policy"), key=lambda found: -found[1]["psnr_db"].mean()):
        words = ""
        if policy != "lagrangian":
            (found,) = compare(table, "policy", "lagrangian", policy)
            words = difference(found)
        lines.append([f"`{policy}`", cell(rows["psnr_db"]), words])
    return markdown(["policy", "PSNR", "`lagrangian` over it"], lines)


def ofdm() -> str:
    """Over 3GPP's channels, lost frames as mid-grey."""
    lines = []
    for channel in OFDM:
        table = results(f"ofdm_{file_part(channel)}")
        table = table[table["csi"] == "estimated"]
        for system, rows in table.groupby("system"):
            lines.append([f"`{channel}`" if system == "block-jscc" else "", f"`{system}`", *by_snr(rows)])
    return markdown(["channel", "system", "4 dB", "10 dB", "16 dB"], lines)


def ofdm_price() -> str:
    """What prefix, pilots and preamble cost, and estimates of the channel: cases of knowledge and budget, the
    larger of which makes up for what is no data."""
    table = results("ofdm_price")
    cases = {
        ("perfect", False): "all data, channel known",
        ("perfect", True): "overhead, channel known",
        ("estimated", True): "overhead, LMMSE",
        ("estimated:ls", True): "overhead, least squares",
    }
    lines = []
    for channel, rows in table.groupby("channel"):
        found = dict(list(rows.groupby([rows["csi"], at(rows, "1/16")])["psnr_db"]))
        lines.append([f"`{channel}`", *(cell(found[case]) for case in cases)])
    return markdown(["10 dB", *cases.values()], lines)


def receivers() -> str:
    """Two sentences on receivers that know nothing but samples."""
    ours, radio = provenance("ofdm_receiver"), provenance("gnu_radio")
    return (
        f"The receiver is within {ours['within_db']:g} dB of one that knows frame, carrier and channel in "
        f"{ours['within']} of {ours['draws']} draws (`{ours['channel']}`, noise before and behind; "
        f"{ours['mean_loss_db']:.2f} dB in the mean). Through GNU Radio's channel model (echoes, offsets of "
        f"carrier and clock, {radio['snr_db']:g} dB) `experiments/gnu_radio.py` receives the "
        f"{radio['image']} at {radio['psnr_db']:.2f} dB."
    )


def baselines() -> str:
    """Rivals on AWGN."""
    table = results("baselines_vs_cbr")
    lines = []
    for system in RIVALS:
        rows = table[table["system"] == system]
        others = [rows[at(rows, "1/16") & (rows["snr_db"] == snr_db)] for snr_db in (1, 20)]
        name = "**`block-jscc`**" if system == "block-jscc" else f"`{system}`"
        bound = " (bound)" if system.endswith("+ideal") else ""
        lines.append(
            [
                name + bound,
                *over_cbr(rows[rows["snr_db"] == 10]),
                *(cell(there["psnr_db"]) for there in others),
            ]
        )
    head = ["10 dB: CBR 1/48", *CBRS[1:], "1 dB: 1/16", "20 dB: 1/16"]
    return markdown(["system", *head], lines)


def baselines_paired() -> str:
    """Block JSCC over its rivals, image by image."""
    table = results("baselines_vs_cbr")
    lines = []
    for system, snr_db in COMPARED:
        found = {found.place: found for found in compare(table, "system", "block-jscc", system)}
        places = (f"awgn {snr_db} dB, CBR {cbr}" for cbr in CBRS)
        lines.append(
            [f"`{system}`, {snr_db} dB", *(arrived(found[p]) if p in found else NONE for p in places)]
        )
    return markdown(["block JSCC over", *CBRS], lines)


def slope() -> str:
    """Made for 10 dB, received at others."""
    table = results("baselines_vs_snr")
    mode = "hevc+ldpc-abstraction:16qam-658"
    made = table[(table["sender_snr_db"] == 10) & table["system"].isin(["block-jscc", mode])]
    rows = made.drop_duplicates(["image", "system", "snr_db"])
    lines = [[f"`{system}`", *by_snr(mine)] for system, mine in rows.groupby("system")]
    return markdown(["made for 10 dB", *snr_names(made)], lines)


def mismatch() -> str:
    """Of block JSCC alone: what a sender's mistake costs."""
    table = results("snr_mismatch")
    lines = []
    for belief, rows in [("the SNR", table[table["belief"] == ""])] + [
        (f"{belief:g} dB", table[table["sender_snr_db"] == belief]) for belief in (4, 10, 16)
    ]:
        lines.append([belief, *by_snr(rows.drop_duplicates(["image", "snr_db"]))])
    return markdown(["the sender believes", *snr_names(table)], lines)


def slow_fading() -> str:
    """A draw of slow Rayleigh fading after the other."""
    table = results("baselines_fading")
    table = table[table["snr_db"] == 10]
    lines = []
    for system, name in FADES.items():
        rows = table[(table["system"] == system) & (table["status"] == "ok")]
        over = ""
        if system != "block-jscc":
            (found,) = compare(table, "system", "block-jscc", system)
            over = difference(found)
        low = f"{np.percentile(rows['psnr_db'], 5):.2f}"
        lines.append([name, cell(rows["psnr_db"]), low, f"{int(rows['outage'].sum())} of {len(rows)}", over])
    return markdown(["system", "mean", "5th percentile", "lost", "block JSCC over it"], lines)


def fades() -> str:
    """Block JSCC on flat channels."""
    table = results("fading")
    lines = [[f"`{channel}`", *by_snr(rows)] for channel, rows in table.groupby("channel")]
    return markdown(["channel", *snr_names(table)], lines)


def codecs() -> str:
    """Files, at equal bits per pixel."""
    each = at_equal_bits(pd.read_csv(RESULTS / "learned_codecs_gmm.csv"))
    bpps, sets = (0.25, 0.5, 1.0), {"given": "Kodak", "built-in": "built-in photographs"}
    lines = []
    for codec in each.columns:
        cells = [cell(each.loc[name].xs(bpp, level="bpp")[codec]) for name in sets for bpp in bpps]
        lines.append([f"`{codec}`", *cells])
    for other in each.columns.drop("gmm"):
        cells = []
        for name in sets:
            for bpp in bpps:
                found = each.loc[name].xs(bpp, level="bpp")
                cells.append(paired(found["gmm"] - found[other]))
        lines.append([f"`gmm` over `{other}`", *cells])
    return markdown(
        ["PSNR in dB", *(f"{name}, {bpp:g} bpp" for name in sets.values() for bpp in bpps)], lines
    )


def learned_links() -> str:
    """`gmm+ldpc` and its rivals at 10 dB."""
    table = pd.concat([results("learned_codecs_gmm_channel"), results("baselines_vs_cbr")])
    cbrs, lines, psnrs = ("1/24", "1/16", "1/8"), [], {}
    for system in ("gmm+ldpc", "jpeg+ldpc", "jpeg2000+ldpc-abstraction"):
        rows = table[(table["system"] == system) & (table["snr_db"] == 10)].set_index("image")
        psnrs[system] = [rows.loc[at(rows, cbr), "psnr_db"] for cbr in cbrs]
        lines.append([f"`{system}`", *map(cell, psnrs[system])])
    for other in list(psnrs)[1:]:
        over = [paired(own - theirs) for own, theirs in zip(psnrs["gmm+ldpc"], psnrs[other], strict=True)]
        lines.append([f"`gmm+ldpc` over `{other}`", *over])
    return markdown(["10 dB", *(f"CBR {cbr}" for cbr in cbrs)], lines)


def quantised_cliff() -> str:
    """The file's cliff, and the slope of bits protected unequally."""
    table = results("learned_codecs_quantised")
    lines = [[f"`{system}`", *by_snr(rows)] for system, rows in table.groupby("system")]
    return markdown(["made for 10 dB, CBR 1/12", *snr_names(table)], lines)


def quantised_rates() -> str:
    """16 latents per 8x8 pixels: fixed length, and coded."""
    lines = [
        [
            bits,
            f"{of['psnr_db']:.2f}",
            f"{of['fixed_bpp']:.2f}",
            f"{of['adaptive_bpp']:.2f}",
            f"{of['saved']:.0%}",
        ]
        for bits, of in provenance("learned_codecs_quantised")["by_bits"].items()
    ]
    return markdown(["bits of a latent", "PSNR in dB", "bpp, fixed length", "bpp, coded", "saved"], lines)


def digits() -> str:
    """Bits of a digit, beside PCA."""
    curves = pd.read_csv(RESULTS / "learned_codecs_digits.csv").sort_values("bits")
    bits, lines = (15, 25, 35), []
    for coder, name in (("digits", "`digits`"), ("pca", "PCA, scalar quantiser, arithmetic code")):
        mine = curves[curves["coder"] == coder]
        lines.append([name, *(f"{np.interp(bit, mine['bits'], mine['psnr_db']):.2f}" for bit in bits)])
    return markdown(["PSNR in dB", *(f"{bit} bits per digit" for bit in bits)], lines)


def generative() -> str:
    """Over linear least squares on the same frames."""
    found = generative_gains(results("learned_codecs_generative"))
    lines = []
    for snr_db, rows in found.groupby("snr_db"):
        lines.append([f"{snr_db:g} dB", *(paired(mine["gain_db"]) for _, mine in rows.groupby("cbr"))])
    cbrs = found.sort_values("cbr")["cbr_fraction"].unique()
    return markdown(["SNR", *(f"CBR {cbr}" for cbr in cbrs)], lines)


def vae() -> str:
    """Beside a transform of as many coefficients."""
    made = provenance("learned_codecs_vae")["psnr_db"]
    snrs = ("0.0", "5.0", "10.0", "20.0")
    lines = [
        [f"`{name}`" if name.startswith("vae") else f"4×4 {name}", *(f"{line[snr]:.2f}" for snr in snrs)]
        for name, line in sorted(made.items(), key=lambda item: (item[0].split(":")[-1].split()[-1], item[0]))
    ]
    return markdown(["PSNR in dB", *(f"{float(snr):g} dB" for snr in snrs)], lines)


TABLES: dict[str, tuple[Callable[[], str], Sequence[str]]] = {
    "quality": (quality, ["psnr_vs_cbr.csv", "psnr_vs_snr.csv"]),
    "published": (published, ["psnr_vs_cbr.csv"]),
    "similarity": (similarity, ["psnr_vs_cbr.csv"]),
    "zoos": (zoos, ["psnr_vs_snr.csv"]),
    "below_uniform": (below_uniform, ["psnr_vs_cbr.csv"]),
    "policies": (policies, ["policies.csv"]),
    "ofdm": (ofdm, [f"ofdm_{file_part(channel)}.csv" for channel in OFDM]),
    "ofdm_price": (ofdm_price, ["ofdm_price.csv"]),
    "receivers": (receivers, ["ofdm_receiver.json", "gnu_radio.json"]),
    "baselines": (baselines, ["baselines_vs_cbr.csv"]),
    "baselines_paired": (baselines_paired, ["baselines_vs_cbr.csv"]),
    "slope": (slope, ["baselines_vs_snr.csv"]),
    "mismatch": (mismatch, ["snr_mismatch.csv"]),
    "slow_fading": (slow_fading, ["baselines_fading.csv"]),
    "fades": (fades, ["fading.csv"]),
    "codecs": (codecs, ["learned_codecs_gmm.csv"]),
    "learned_links": (learned_links, ["learned_codecs_gmm_channel.csv", "baselines_vs_cbr.csv"]),
    "quantised_cliff": (quantised_cliff, ["learned_codecs_quantised.csv"]),
    "quantised_rates": (quantised_rates, ["learned_codecs_quantised.json"]),
    "digits": (digits, ["learned_codecs_digits.csv"]),
    "generative": (generative, ["learned_codecs_generative.csv"]),
    "vae": (vae, ["learned_codecs_vae.json"]),
}
"""What makes each, of which tables of results/."""


def zoo_lines() -> dict[str, str]:
    """What each zoo of block JSCC is measured at, for its manifest."""
    what = f"PSNR, Kodak, AWGN, lagrangian, header counted, CBR {', '.join(ZOO_CBRS)}"
    lines = {}
    for zoo, rows in results("psnr_vs_snr").groupby("zoo"):
        told = [f"{' / '.join(cells)} dB at {snr_db} dB" for snr_db, cells in zoo_means(rows).items()]
        lines[zoo] = f"{what}: {', '.join(told)}"
    return lines


def zoo_means(rows: pd.DataFrame) -> dict[int, list[str]]:
    """SNR -> its mean at each of ZOO_CBRS."""
    found = {}
    for snr_db in ZOO_SNRS_DB:
        mine = rows[rows["snr_db"] == snr_db]
        found[snr_db] = [cell(mine.loc[at(mine, cbr), "psnr_db"]) for cbr in ZOO_CBRS]
    return found


def results(name: str) -> pd.DataFrame:
    """A table of results/. Raises InputError for one whose points are of different pictures."""
    table = read_csv(RESULTS / f"{name}.csv")
    points = [*SCHEME, "side_info", "snr_db", "cbr_budget"]
    counts = table.groupby(points, dropna=False)["image"].nunique()
    if counts.nunique() > 1:
        raise InputError(f"{name}.csv has {counts.min()} pictures at a point, {counts.max()} at another")
    return table


def at(table: pd.DataFrame, cbr: str) -> pd.Series:
    """Which rows have that budget; of published curves, about that CBR."""
    column = "cbr_budget" if "cbr_budget" in table else "cbr"
    return pd.Series(np.isclose(table[column], float(Fraction(cbr)), rtol=5e-3), table.index)


def over_cbr(rows: pd.DataFrame, y: str = "psnr_db", places: int = 2) -> list[str]:
    """Its mean at each of CBRS."""
    return [cell(rows.loc[at(rows, cbr), y], places) for cbr in CBRS]


def cell(values: pd.Series, places: int = 2) -> str:
    """The mean; a dash where there is none, or one is missing."""
    return f"{values.mean():.{places}f}" if len(values) and values.notna().all() else NONE


def arrived(found: Comparison) -> str:
    """As `difference`, without frames that either lost, which are counted behind it."""
    lost = sum(len(images) for images in found.lost.values())
    kept = dataclasses.replace(found, counted=found.arrived) if lost else found
    return difference(kept) + (f", {lost} lost" if lost else "")


def difference(found: Comparison) -> str:
    """`+0.62 ± 0.26 (18)`: in how many images it is above, and of how many, if not of 24."""
    if found.counted is None:
        return NONE
    return _paired_words(found.counted.found, found.counted.above)


def signed(text: str) -> str:
    """With the typographer's minus."""
    return text.replace("-", "−")


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def provenance(name: str) -> dict[str, Any]:
    """What the JSON beside a table says."""
    path = RESULTS / f"{name}.json"
    try:
        made: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from None
    return made


def paired(differences: pd.Series) -> str:
    """`+0.62 ± 0.26 (18)`, of single images' differences; a dash where one has none."""
    if differences.isna().any():
        return NONE
    return _paired_words(interval(differences), int((differences > 0).sum()))


def _paired_words(found: Interval, above: int) -> str:
    of = f" of {found.count}" if found.count != KODAK else ""
    return f"{signed(found.text(2, '+'))} ({above}{of})"


def by_snr(rows: pd.DataFrame) -> list[str]:
    """The mean at each SNR, and how many frames were lost."""
    cells = []
    for _, mine in rows.groupby("snr_db"):
        lost = int(mine["outage"].sum())
        cells.append(
            "all lost" if lost == len(mine) else cell(mine["psnr_db"]) + f", {lost} lost" * (lost > 0)
        )
    return cells


def snr_names(table: pd.DataFrame) -> list[str]:
    """Heads of the columns of `by_snr`."""
    return [f"{snr_db:g} dB" for snr_db in sorted(table["snr_db"].unique())]
