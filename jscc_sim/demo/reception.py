"""The first tab: one picture, sent by two systems, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from jscc_sim.api import Sent
from jscc_sim.demo import markup
from jscc_sim.demo.chosen import Chosen, choose
from jscc_sim.demo.numbers import compared, summary
from jscc_sim.demo.pixels import (
    GAIN,
    PSNR_RANGE_DB,
    block_psnr_db,
    constellation_image,
    equalised_symbols,
    error_image,
    level_colours,
    psnr_image,
    uses_image,
)
from jscc_sim.demo.sending import send
from jscc_sim.demo.settings import Air, Scheme
from jscc_sim.errors import JsccError, one_line, out_of_memory
from jscc_sim.inference import one_thread

LOST = '<div class="lost">OUTAGE: the frame could not be decoded, and is scored as mid-grey</div>'


@dataclass(frozen=True, eq=False)
class Side:
    """A system that is compared, by its letter; what came of it, or the sentence that says why nothing."""

    letter: str
    scheme: Scheme
    sent: Sent | None
    sentence: str


def reception(source: str, air: Air, schemes: Sequence[Scheme]) -> str:
    """HTML of what arrives of a picture. source: a file, or a built-in photograph's name; schemes: two of
    them. What goes wrong is said in it."""
    try:
        chosen = choose(source)
    except JsccError as error:
        return markup.whole(markup.error(one_line(error)))
    with one_thread(), ThreadPoolExecutor(len(schemes)) as pool:  # one each, as at the command line
        sides = list(pool.map(partial(_side, chosen, air), "AB", schemes))
    done = [(side, side.sent) for side in sides if side.sent]
    height, width = shape = chosen.pixels.shape[:2]
    panes = [
        markup.pane(f"{chosen.name}, {height}x{width}", markup.ORIGINAL, shape),
        *map(_received, sides),
        *(pane for side, sent in done for pane in _about(side, sent)),
    ]
    head = ["", *(f"{side.letter}: {side.scheme.label}" for side in sides)]
    below = [markup.table(head, compared([side.sent for side in sides])), *(_plane(*pair) for pair in done)]
    return markup.viewer(chosen.pixels, chosen.note, panes, below if done else [])


def _side(chosen: Chosen, air: Air, letter: str, scheme: Scheme) -> Side:
    try:
        return Side(letter, scheme, send(chosen, air, scheme), "")
    except JsccError as error:
        return Side(letter, scheme, None, one_line(error))
    except (MemoryError, RuntimeError) as error:
        if (short := out_of_memory(error)) is None:
            raise
        return Side(letter, scheme, None, short)


def _received(side: Side) -> str:
    if side.sent is None:
        return markup.empty_pane(f"{side.letter}: {side.scheme.label}", markup.error(side.sentence))
    layer = markup.picture(side.sent.picture, f"received by {side.letter}") + LOST * side.sent.outage
    return markup.pane(f"{side.letter}: {summary(side.scheme, side.sent)}", layer, side.sent.picture.shape)


def _about(side: Side, sent: Sent) -> list[str]:
    """Where its uses went, its error, and how good each block is."""
    shape, letter = sent.picture.shape, side.letter
    error = markup.picture(error_image(sent.picture, sent.original), f"error of {letter}")
    psnr_db = block_psnr_db(sent.picture, sent.original)
    blocks = markup.cells(psnr_image(psnr_db), shape, f"PSNR of each block of {letter}")
    marks = np.linspace(*PSNR_RANGE_DB, 6)
    scale = markup.legend(
        [(colour[0], f"{mark:g}") for mark, colour in zip(marks, psnr_image(marks[:, None]), strict=True)]
    )
    return [
        _uses(side, sent),
        markup.pane(f"{letter}, error times {GAIN}", error, shape),
        markup.pane(f"{letter}, PSNR of each block (dB)", blocks, shape, scale),
    ]


def _uses(side: Side, sent: Sent) -> str:
    letter = side.letter
    if sent.allocation is None:
        title = f"{letter}, {side.scheme.label} has no blocks"
        return markup.pane(title, '<div class="original grey"></div>', sent.picture.shape)
    values, counts = np.unique(sent.allocation, return_counts=True)
    colours = level_colours(len(sent.ratios))[np.searchsorted(sent.ratios, values)]
    scale = [
        (colour, f"{uses} ({count})") for colour, uses, count in zip(colours, values, counts, strict=True)
    ]
    layer = markup.cells(uses_image(sent.allocation, sent.ratios), sent.picture.shape, f"uses of {letter}")
    title = f"{letter}, channel uses of each block"
    return markup.pane(title, layer, sent.picture.shape, markup.legend(scale))


def _plane(side: Side, sent: Sent) -> str:
    if sent.received is None:
        return ""
    title = f"{side.letter}, symbols {'received' if sent.received.estimate is None else 'equalised'}"
    return markup.constellation(title, *constellation_image(equalised_symbols(sent.received)))
