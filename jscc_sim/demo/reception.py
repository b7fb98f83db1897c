"""The first tab: one picture, sent by two systems, side by side."""

from __future__ import annotations

from collections.abc import Sequence

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

LOST = '<div class="lost">OUTAGE: the frame could not be decoded, and is scored as mid-grey</div>'


def reception(source: str, air: Air, schemes: Sequence[Scheme]) -> str:
    """HTML of what arrives of a picture. source: a file, or a built-in photograph's name; schemes: two, called
    A and B. What goes wrong is said in it, and nothing is raised for it."""
    try:
        chosen = choose(source)
    except JsccError as error:
        return f'<div class="jscc">{markup.error(one_line(error))}</div>'
    said, sent = [markup.note(chosen.note)], []
    for letter, scheme in zip("AB", schemes, strict=True):
        found, sentence = attempt(chosen, air, scheme)
        sent.append(found)
        if sentence:
            said.append(markup.error(f"{letter}: {sentence}"))
    height, width = chosen.pixels.shape[:2]
    panes = [markup.pane(f"{chosen.name}, {height}x{width}", markup.ORIGINAL, (height, width))]
    named = list(zip("AB", schemes, sent, strict=True))
    panes += [_received(letter, scheme, found) for letter, scheme, found in named if found]
    if any(found is None for found in sent):
        panes += ["<div></div>"] * (3 - len(panes))
    for letter, scheme, found in named:
        panes += _about(letter, scheme, found) if found else []
    numbers = markup.table(["", *(f"{letter}: {scheme.label}" for letter, scheme in zip("AB", schemes, strict=True))],
                           compared(sent))  # fmt: skip
    planes = [_plane(letter, found) for letter, _, found in named if found]
    below = f'<div class="below">{"".join([numbers, *planes]) if any(sent) else ""}</div>'
    return "".join(said).join(('<div class="jscc">', "</div>")) + markup.page(chosen.pixels, panes, below)


def attempt(chosen: Chosen, air: Air, scheme: Scheme) -> tuple[Sent | None, str]:
    """What came of it, or the sentence that says why nothing did."""
    try:
        return send(chosen, air, scheme), ""
    except JsccError as error:
        return None, one_line(error)
    except (MemoryError, RuntimeError) as error:
        if (short := out_of_memory(error)) is None:
            raise
        return None, short


def _received(letter: str, scheme: Scheme, sent: Sent) -> str:
    title = f"{letter}, {summary(scheme, sent)}"
    layer = markup.picture(sent.picture, f"received by {letter}") + LOST * sent.outage
    return markup.pane(title, layer, sent.picture.shape)


def _about(letter: str, scheme: Scheme, sent: Sent) -> list[str]:
    """Where its uses went, its error, and how good each block is."""
    shape = sent.picture.shape
    error = markup.picture(error_image(sent.picture, sent.original), f"error of {letter}")
    psnr_db = block_psnr_db(sent.picture, sent.original)
    blocks = markup.cells(psnr_image(psnr_db), shape, f"PSNR of each block of {letter}")
    marks = np.linspace(*PSNR_RANGE_DB, 6)
    scale = markup.legend(
        [(colour[0], f"{mark:g}") for mark, colour in zip(marks, psnr_image(marks[:, None]), strict=True)]
    )
    return [
        _uses(letter, scheme, sent),
        markup.pane(f"{letter}, error times {GAIN}", error, shape),
        markup.pane(f"{letter}, PSNR of each block (dB)", blocks, shape, scale),
    ]


def _uses(letter: str, scheme: Scheme, sent: Sent) -> str:
    if sent.allocation is None:
        title = f"{letter}, {scheme.label} has no blocks"
        return markup.pane(title, '<div class="original grey"></div>', sent.picture.shape)
    values, counts = np.unique(sent.allocation, return_counts=True)
    colours = level_colours(len(sent.ratios))[np.searchsorted(sent.ratios, values)]
    scale = [
        (colour, f"{uses} ({count})") for colour, uses, count in zip(colours, values, counts, strict=True)
    ]
    layer = markup.cells(uses_image(sent.allocation, sent.ratios), sent.picture.shape, f"uses of {letter}")
    title = f"{letter}, channel uses of each block"
    return markup.pane(title, layer, sent.picture.shape, markup.legend(scale))


def _plane(letter: str, sent: Sent) -> str:
    if sent.received is None:
        return ""
    title = f"{letter}, symbols received" + ", equalised" * (sent.received.estimate is not None)
    return markup.constellation(title, *constellation_image(equalised_symbols(sent.received)))
