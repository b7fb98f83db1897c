"""The page's HTML: pictures in panes, tables, figures, sentences. All that is text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from jscc_sim.plots.style import figure_bytes
from jscc_sim.units import BLOCK


def data_url(pixels: NDArray[np.uint8]) -> str:
    """[H, W, 3 or 4] uint8 as a PNG without loss, inside the page."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def pane(title: str, layer: str, shape: tuple[int, ...], below: str = "") -> str:
    """A picture of shape (height, width) that follows the zoom. title: text; layer, below: HTML."""
    height, width = shape[:2]
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><div class="view" '
        f'style="aspect-ratio:{width}/{height}"><div class="layer">{layer}</div></div>{below}</figure>'
    )


def empty_pane(title: str, instead: str) -> str:
    """Something else where there is no picture. title: text; instead: HTML."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{instead}</figure>"


def picture(pixels: NDArray[np.uint8], alt: str) -> str:
    """A layer that is a picture."""
    return f'<img alt="{escape(alt)}" src="{data_url(pixels)}">'


ORIGINAL = '<div class="original" role="img" aria-label="the original"></div>'
"""A layer that is the original, as `page` carries it."""


def cells(colours: NDArray[np.uint8], shape: tuple[int, ...], alt: str) -> str:
    """A layer that is the original in grey below a colour for each block. colours: [rows, columns, 3]; shape:
    of the picture, which the last blocks reach beyond."""
    (rows, columns), (height, width) = colours.shape[:2], shape[:2]
    size = f"width:{100 * columns * BLOCK / width:.4f}%;height:{100 * rows * BLOCK / height:.4f}%"
    grey = '<div class="original grey"></div>'
    return f'{grey}<img class="cells" style="{size}" alt="{escape(alt)}" src="{data_url(colours)}">'


def legend(entries: Sequence[tuple[NDArray[np.uint8], str]]) -> str:
    """(colour, what it stands for) each."""
    spans = [
        f'<span><i style="background:rgb({red},{green},{blue})"></i>{escape(text)}</span>'
        for (red, green, blue), text in entries
    ]
    return f'<div class="legend">{"".join(spans)}</div>'


def constellation(title: str, image: NDArray[np.uint8], half: float) -> str:
    """A square of the complex plane, from -half to half each way."""
    return (
        f'<figure class="plane"><figcaption>{escape(title)}</figcaption><div class="axes">'
        f'<img alt="{escape(title)}" src="{data_url(image)}"></div>'
        f'<div class="legend"><span>−{half:g}</span><span>in phase</span><span>{half:g}</span></div></figure>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a row of names on top; the first cell of each row is its name."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = [
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    ]
    return f'<div class="wide"><table><tr>{top}</tr>{"".join(lines)}</table></div>'


def figure(drawn: Figure, alt: str) -> str:
    """A figure as vector graphics, on white."""
    code = base64.b64encode(figure_bytes(drawn, "svg")).decode()
    image = f'<img class="drawn" alt="{escape(alt)}" src="data:image/svg+xml;base64,{code}">'
    return f'<div class="wide">{image}</div>'


def error(sentence: object) -> str:
    """What went wrong, in one sentence."""
    return f'<p class="error" role="alert">{escape(str(sentence))}</p>'


def note(sentence: str) -> str:
    """A remark, or nothing."""
    return f'<p class="note">{escape(sentence)}</p>' if sentence else ""


def progress(done: int, all_: int, words: str) -> str:
    """A bar, and what is being done."""
    return f'<p class="note"><progress value="{done}" max="{all_}"></progress> {escape(words)}</p>'


ZOOM = (
    '<div class="zoom" role="toolbar" aria-label="zoom"><button type="button" data-zoom="in">+</button>'
    '<button type="button" data-zoom="out">−</button><button type="button" data-zoom="whole">whole</button>'
    "<span>Double-click to look closer, drag to move, Ctrl and wheel to zoom; all follow.</span></div>"
)


def viewer(original: NDArray[np.uint8], remark: str, panes: Sequence[str], below: Sequence[str]) -> str:
    """Panes side by side, with the original for all of them to show, and what stands below them."""
    style = f'<style>.jscc {{ --original: url("{data_url(original)}"); }}</style>'
    side_by_side = f'<div class="panes">{"".join(panes)}</div>'
    return style + whole(note(remark), ZOOM, side_by_side, f'<div class="below">{"".join(below)}</div>')


def whole(*parts: str) -> str:
    """All that is shown in one place, which the style sheet is for."""
    return f'<div class="jscc">{"".join(parts)}</div>'
