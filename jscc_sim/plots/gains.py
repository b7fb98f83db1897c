"""What policies gain over uniform allocation: its lower convex envelope, image by image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jscc_sim.errors import InputError
from jscc_sim.metrics import psnr_of_mse
from jscc_sim.plots.table import SCHEME, Array, format_value
from jscc_sim.statistics import envelope_mse, gain_db, lower_envelope

TOLERANCE = 0.01
"""How far below uniform's smallest frame, relatively, a frame is compared with it."""

ALIKE = (
    "system", "companion", "precision", "waveform", "channel", "csi", "equaliser", "margin", "side_info",
    "snr_db", "sender_snr_db", "image", "repeat",
)  # fmt: skip
"""Columns in which a policy's frames and the uniform ones that they are compared with agree."""


def why_no_gain(table: pd.DataFrame) -> str:
    """Why no frame of a checked table can be compared with a uniform one."""
    uniform = _is_uniform(table)
    if uniform.all() or not uniform.any():
        return "all its rows are uniform" if uniform.all() else "it has no rows of the policy uniform"
    for column in (*ALIKE, "zoo"):
        have, others = (set(table[column][chosen]) for chosen in (uniform, ~uniform))
        if not have & others:
            words = (
                ", ".join(sorted(format_value(column, v) for v in values)[:3]) for values in (have, others)
            )
            return "{} is {} in its uniform rows, {} in the others".format(column, *words)
    return "no other row has a uniform one of the same picture and link at its uses"


def with_gains(
    table: pd.DataFrame, parents: Mapping[str, str] | None = None, outages: bool = True
) -> pd.DataFrame:
    """A checked table's rows of other policies than uniform, with `gain_db` over uniform's envelope.

    The envelope is that of the same image, repeat, link and zoo; parents: for zoos specialised to a
    policy's blocks the zoo that they come from, whose uniform frames belong to the envelope too; outages:
    whether a uniform frame that was lost does, as the mid-grey that it is.
    NaN where there is no gain to speak of: below uniform's least uses, without uniform, without error.
    (Uses that are less than TOLERANCE below uniform's least meet that frame: never to a policy's favour.)
    """
    parents = _checked_parents(table, parents)
    uniform = table[_is_uniform(table) & (table["status"] == "ok")]
    uniform = uniform if outages else uniform[~uniform["outage"]]
    pools = {
        place: (rows["uses"].to_numpy(float), rows["mse"].to_numpy(float))
        for place, rows in uniform.groupby([*ALIKE, "zoo"], dropna=False)
    }
    others = table[~_is_uniform(table)].copy()

    def gain(row: dict[Hashable, Any]) -> float:
        zoos = {row["zoo"], parents.get(row["zoo"], row["zoo"])}
        found = [pools[place] for zoo in sorted(zoos) if (place := (*(row[k] for k in ALIKE), zoo)) in pools]
        if row["status"] != "ok" or not found:
            return np.nan
        uses, mse = (np.concatenate(values) for values in zip(*found, strict=True))
        least = uses.min()
        spent = least if 1 - TOLERANCE < row["uses"] / least < 1 else row["uses"]
        value = gain_db(row["mse"], spent, uses, mse)
        return value if np.isfinite(value) else np.nan

    others["gain_db"] = [gain(row) for row in others.to_dict("records")]
    return others


def has_uniform(rows: pd.DataFrame, table: pd.DataFrame, parents: Mapping[str, str] | None) -> pd.Series:
    """Whether a checked table holds uniform frames of the system and the zoo (or its parent) of each row:
    digital chains have none."""
    known = set(table.loc[_is_uniform(table), ["system", "zoo"]].itertuples(index=False, name=None))
    zoos = rows["zoo"].replace(dict(parents or {}))
    found = [
        bool({(system, zoo), (system, parent)} & known)
        for system, zoo, parent in zip(rows["system"], rows["zoo"], zoos, strict=True)
    ]
    return pd.Series(found, rows.index, dtype=bool)


@dataclass(frozen=True, eq=False)
class Envelope:
    """Uniform's envelope over CBR, a mean PSNR over images. scheme: that of the uniform frames in it."""

    scheme: tuple[str, ...]
    cbr: Array
    psnr_db: Array


def envelopes(rows: pd.DataFrame, parents: Mapping[str, str] | None = None) -> list[Envelope]:
    """Uniform's envelope for each zoo and link at which there are other policies too.

    Each image's lower convex envelope in the (uses, MSE) plane, at equal CBR, then in dB; over the CBRs
    that every image's envelope reaches; none where an image has no uniform frame. rows: checked, of one
    SNR; those of a genie count only where there are no others.
    """
    parents = _checked_parents(rows, parents)
    honest = rows[rows["side_info"] != "genie"]
    rows = honest if len(honest) else rows
    uniform = rows[_is_uniform(rows) & (rows["status"] == "ok")]
    link = [name for name in SCHEME if name not in ("policy", "complexity", "zoo")]
    found = []
    for (zoo, *place), others in rows[~_is_uniform(rows)].groupby(["zoo", *link]):
        pool = uniform[uniform["zoo"].isin({zoo, parents.get(zoo, zoo)})]
        pool = pool[(pool[link] == place).all(axis=1)]
        if pool["cbr_budget"].nunique() > 1 and set(others["image"]) <= set(pool["image"]):
            own = pool[pool["zoo"] == zoo]
            scheme = tuple((own if len(own) else pool)[list(SCHEME)].iloc[0])
            found.append(Envelope(scheme, *_mean_envelope(pool)))
    return found


def _mean_envelope(pool: pd.DataFrame) -> tuple[Array, Array]:
    hulls = []
    for (image, _), rows in pool.groupby(["image", "repeat"]):
        samples = 3 * rows["height"].iloc[0] * rows["width"].iloc[0]
        hulls.append((image, samples, *lower_envelope(rows["uses"], rows["mse"])))
    ends = [(uses[0] / samples, uses[-1] / samples) for _, samples, uses, _ in hulls]
    low, high = np.max(ends, axis=0)
    cbr = np.unique([*np.linspace(low, high, 60), *pool["cbr"][pool["cbr"].between(low, high)]])
    psnr = [[psnr_of_mse(envelope_mse(c * s, uses, mse)) or np.nan for c in cbr] for _, s, uses, mse in hulls]
    frame = pd.DataFrame(psnr, index=[hull[0] for hull in hulls])
    return cbr, frame.groupby(level=0).mean().mean(skipna=False).to_numpy()


def _is_uniform(table: pd.DataFrame) -> pd.Series:
    return table["policy"].str.split(" ").str[0] == "uniform"


def _checked_parents(table: pd.DataFrame, parents: Mapping[str, str] | None) -> Mapping[str, str]:
    known = set(table["zoo"])
    for zoo in (word for pair in (parents or {}).items() for word in pair):
        if zoo not in known:
            raise InputError(f"table has no zoo {zoo!r}; it has {', '.join(sorted(known))}")
    return parents or {}
