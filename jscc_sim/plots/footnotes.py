"""What is said below a figure of curves: of how many images, under what conditions, and what is missing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from jscc_sim.plots import style
from jscc_sim.plots.page import Page
from jscc_sim.plots.series import Curves
from jscc_sim.plots.table import OTHER, Axis, panel_name, place_name, stated
from jscc_sim.statistics import FEWEST

NEARLY_ALL = 0.95
"""Share of a budget; whoever spends less is named where the axis does not show it."""

_log = logging.getLogger(__name__)


def conditions(curves: Curves) -> str:
    """What all curves have in common."""
    table = curves.table
    words = []
    symbols = set(table["waveform"]) == {""}
    for column in ("system", "zoo", "policy", "precision", "waveform", "channel", "csi", "equaliser"):
        if column in ("csi", "equaliser") and symbols and set(table["channel"]) == {"awgn"}:
            continue
        if column == "waveform" and symbols:
            continue
        values = stated(table[column])
        if len(values) == 1:
            name = {"zoo": "zoo ", "policy": "policy ", "csi": "CSI ", "equaliser": "equaliser "}.get(
                column, ""
            )
            words.append(name + values.pop())
    panels = curves.panels()
    if len(panels) == 1:
        words.append(panel_name(OTHER[curves.x], panels[0][0]))
    return f"{', '.join(words)}." if words else ""


def over_images(page: Page, what: str, single: str, kind: str = "") -> str:
    """Over how many images the means are, and what is drawn about them: `what` of many, `single` of few."""
    counts = {curve.images for _, curve in page.drawn}
    if counts <= {1}:
        return "One image: no interval." if counts else ""
    few = (
        f"; {single}: the single images, too few for an interval"
        if any(1 < n < FEWEST for n in counts)
        else ""
    )
    many = f"; {what}: {kind}95 % intervals over images" if max(counts) >= FEWEST else ""
    return f"{means(page)[:-1]}{many}{few}."


def means(page: Page) -> str:
    counts = sorted({curve.images for _, curve in page.drawn})
    if not counts:
        return ""
    one = f"{counts[0]} image{'s' * (counts[0] > 1)}"
    number = one if len(counts) == 1 else f"{counts[0]} to {counts[-1]} (not the same for every curve) images"
    return f"Mean over {number}."


def left_out(page: Page) -> list[str]:
    """A note on the points without a value: which, why, and for how many of the images. What holds of every
    point, as of a measure that pictures are too small for, is said once."""
    x, several = page.curves.x, len(page.panels) > 1
    everywhere = _of_every_point(page)
    places: dict[tuple[str, float, str], list[tuple[float, int, int]]] = {}
    for value, curve in page.drawn:
        for point in curve.left_out:
            label, at = ("", 0.0) if point.why in everywhere else (curve.label, point.at)
            places.setdefault((label, at, point.why), []).append((value, point.images, curve.images))
    words = []
    for (label, at, why), found in places.items():
        fewest, most = (pick(lost for _, lost, _ in found) for pick in (min, max))
        counts = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        where = "".join(f", {place_name(OTHER[x], value)}" for value, _, _ in found) if several else ""
        place = "every point" if why in everywhere else f"{label} at {place_name(x, at)}{where}"
        words.append(f"{place} ({why}: {counts} of {max(count for _, _, count in found)} images)")
    return [f"Left out: {'; '.join(words)}."] if words else []


def _of_every_point(page: Page) -> set[str]:
    """Why every point of every curve is left out: reasons that they share, of several points."""
    points = [
        {point.why for point in curve.left_out if point.at == at}
        for _, curve in page.drawn
        for at in {*curve.at, *(point.at for point in curve.left_out)}
    ]
    return set.intersection(*points) if len(points) > 1 else set()


def coders(page: Page) -> list[str]:
    """A note on curves whose frames were not all coded by the same coder, and that the zoo's own."""
    places: dict[tuple[str, str], list[float]] = {}
    for value, curve in page.drawn:
        if curve.coded_by:
            places.setdefault((curve.label, curve.coded_by), []).append(value)
    alike: dict[tuple[str, str], list[str]] = {}
    for (label, coded_by), values in places.items():
        alike.setdefault((coded_by, _in_panels(page, values)), []).append(label)
    words = [f"{'; '.join(labels)} by {coded_by}{where}" for (coded_by, where), labels in alike.items()]
    return [f"Coded: {'; '.join(words)}."] if words else []


def unspent(page: Page) -> list[str]:
    """A note on curves that spend much less than their budget, where the axis does not show what is spent."""
    least: dict[str, float] = {}
    for _, curve in page.drawn:
        least[curve.label] = min(curve.spent, least.get(curve.label, 1.0))
    words = [f"{label} {spent:.0%}" for label, spent in least.items() if spent < NEARLY_ALL]
    return [f"Spent of the budget at least: {', '.join(words)}."] if words else []


def arrived(page: Page) -> str:
    """How many frames the means are of that are not of all."""
    words = []
    for value, curve in page.drawn:
        points = [
            f"{frames:.0f} of {frames + lost:.0f} at {place_name(page.curves.x, at)}"
            for at, frames, lost in zip(curve.at, curve.frames, curve.lost, strict=True)
            if lost
        ]
        if points:
            words.append(f"{curve.label}{_in_panels(page, [value])} {', '.join(points)}")
    fewer = f" Means over fewer: {'; '.join(words)}." if words else ""
    return f"Frames lost in outages are left out.{fewer}"


def _in_panels(page: Page, values: Sequence[float]) -> str:
    """` (10 dB, 20 dB)`, where there are several panels."""
    places = ", ".join(place_name(OTHER[page.curves.x], value) for value in values)
    return f" ({places})" if len(page.panels) > 1 else ""


def lost(table: pd.DataFrame) -> str:
    sent = table[table["status"] == "ok"]
    lost = int(sent["outage"].sum())
    return f"{lost} of {len(sent)} frames were lost, and count as mid-grey." if lost else ""


def compared(curves: Curves, reference: pd.DataFrame, chosen: Sequence[str]) -> str:
    """To what differences are, by its label where it has one."""
    labels = {curves.labels[key] for key, *_ in curves.groups(reference)}
    name = labels.pop() if len(labels) == 1 else ", ".join(chosen)
    return f"Differences to {style.plain(name)}, image by image."


def published(x: Axis, sources: Sequence[str], left_out: str) -> list[str]:
    """What is said of published curves, that there are none too."""
    if not sources:
        why = "they are of other pictures" if left_out else "none is for these conditions"
        _log.warning("no published curve over %s is drawn: %s", x, why)
    named = [f"[{number}] {source}." for number, source in enumerate(sources, 1)]
    return [*named, left_out or "No published curve is for these conditions." * (not named)]
