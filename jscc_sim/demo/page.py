"""The page's layout: which control stands where, and what is computed anew when it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from jscc_sim.demo import markup
from jscc_sim.demo.curve import growing_curve
from jscc_sim.demo.reception import reception
from jscc_sim.demo.results import ALWAYS, measures, results_figure
from jscc_sim.demo.settings import (
    CHANNEL_CHOICES,
    CSI_CHOICES,
    POLICY_CHOICES,
    SYSTEM_CHOICES,
    WAVEFORM_CHOICES,
    ZOO_CHOICES,
    Air,
    Scheme,
    command,
)
from jscc_sim.errors import JsccError, one_line
from jscc_sim.images import BUILTIN
from jscc_sim.systems.catalogue import BLOCK_JSCC

HERE = Path(__file__).parent
STYLE, SCRIPT = HERE / "viewer.css", HERE / "viewer.js"

FONT = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
"""What the machine has: a page without network has no others."""

AXES = (("SNR", "snr_db"), ("CBR", "cbr"))
POINTS = {"snr_db": "0, 5, 10, 15, 20", "cbr": "1/48, 1/24, 1/16, 1/12, 1/8"}
DROPPED = "dropped below"

ONE_AT_A_TIME: Any = {"concurrency_id": "sending", "concurrency_limit": 1, "api_visibility": "private"}
"""Networks count their threads for the whole process."""


def theme() -> Any:
    """Gradio's plain one with the machine's own fonts."""
    return gr.themes.Base(font=FONT, font_mono=MONO)


def head() -> str:
    """The script of the zoom."""
    return f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>"


def build(folder: Path) -> gr.Blocks:
    """The page. folder: for the files that it makes, which may be downloaded."""
    with gr.Blocks(title="jscc_sim", analytics_enabled=False, fill_width=True) as page:
        with gr.Tab("Send a picture"), gr.Row():
            with gr.Column(scale=1, min_width=280):
                controls = _controls()
            with gr.Column(scale=4, min_width=320):
                shown = gr.HTML(elem_id="reception")
                lines = gr.Textbox(
                    label="The same on the command line", lines=2, interactive=False, buttons=["copy"],
                    elem_id="command",
                )  # fmt: skip
        with gr.Tab("Draw a curve"):
            _curve_tab(controls, folder)
        with gr.Tab("Plot a sweep"):
            _results_tab()
        changes = [page.load, *(control.change for control in controls if not isinstance(control, gr.File))]
        gr.on(changes, _received, controls, [shown, lines], show_progress="minimal",
              trigger_mode="always_last", **ONE_AT_A_TIME)  # fmt: skip
    return page


def _controls() -> list[Any]:
    """In the order of `_settings`."""
    builtin = gr.Dropdown(
        [*BUILTIN, DROPPED], value=BUILTIN[0], label="Picture, or drop one below", elem_id="builtin"
    )
    file = gr.File(show_label=False, height=110, elem_id="picture")
    # A file is sent since this changes: sent by its own change too, it would be shown twice.
    file.change(lambda path: DROPPED if path else BUILTIN[0], file, builtin, api_visibility="private")
    snr_db = gr.Slider(-5, 30, 10, step=1, label="SNR (dB)", elem_id="snr")
    cbr = gr.Slider(4, 200, 16, step=1, label="CBR: 1 /", elem_id="cbr")
    knows = gr.Checkbox(True, label="The sender knows the SNR", elem_id="knows")
    believed = gr.Slider(-5, 30, 10, step=1, label="It believes (dB)", visible=False, elem_id="believed")
    knows.change(lambda known: gr.update(visible=not known), knows, believed, api_visibility="private")
    schemes = [*_scheme("A", Scheme()), *_scheme("B", Scheme(policy="uniform"))]
    with gr.Accordion("Channel", open=False):
        channel = gr.Dropdown(
            list(CHANNEL_CHOICES), label="Channel, or type one", allow_custom_value=True, elem_id="channel"
        )
        waveform = gr.Dropdown(
            list(WAVEFORM_CHOICES), label="Waveform, or type one", allow_custom_value=True, elem_id="waveform"
        )
        csi = gr.Dropdown(list(CSI_CHOICES), value="", label="What the receiver knows of the channel")
        seed = gr.Number(0, label="Seed of fading and noise", precision=0, minimum=0)
    return [builtin, file, snr_db, cbr, knows, believed, channel, waveform, csi, seed, *schemes]


def _scheme(letter: str, usual: Scheme) -> list[Any]:
    with gr.Group():
        system = gr.Dropdown(list(SYSTEM_CHOICES), value=usual.system, label=f"System {letter}",
                             elem_id=f"system-{letter}")  # fmt: skip
        policy = gr.Dropdown(list(POLICY_CHOICES), value=usual.policy, label="Policy",
                             elem_id=f"policy-{letter}")  # fmt: skip
        zoo = gr.Dropdown(list(ZOO_CHOICES), value=usual.zoo, label="Zoo", elem_id=f"zoo-{letter}")
    system.change(_own_only, system, [policy, zoo], api_visibility="private")
    return [system, policy, zoo]


def _own_only(system: str) -> list[Any]:
    """Policy and zoo are shown where there are any."""
    return [gr.update(visible=system == BLOCK_JSCC)] * 2


def _settings(values: tuple[Any, ...]) -> tuple[str, Air, list[Scheme]]:
    """What the controls say: the picture's source, the air, two schemes. Raises InputError."""
    builtin, file, snr_db, cbr, knows, believed, channel, waveform, csi, seed, *schemes = values
    source = file if builtin == DROPPED and file else BUILTIN[0] if builtin == DROPPED else builtin
    air = Air(float(snr_db), f"1/{int(cbr)}", channel, csi, waveform, None if knows else float(believed),
              int(seed or 0))  # fmt: skip
    return source, air, [Scheme(*schemes[:3]), Scheme(*schemes[3:])]


def _received(*values: Any) -> tuple[str, str]:
    try:
        source, air, schemes = _settings(values)
    except JsccError as error:
        return markup.whole(markup.error(one_line(error))), ""
    lines = "\n".join(command(Path(source).name, air, scheme) for scheme in dict.fromkeys(schemes))
    return reception(source, air, schemes), lines


def _curve_tab(controls: list[Any], folder: Path) -> None:
    gr.Markdown(
        "Picture, systems and channel are those of the first tab, and so is the SNR of a curve over CBR."
    )
    with gr.Row():
        axis = gr.Radio(list(AXES), value="snr_db", label="Over", elem_id="axis")
        values = gr.Textbox(POINTS["snr_db"], label="Values", elem_id="points")
        axis.change(lambda chosen: POINTS[chosen], axis, values, api_visibility="private")
        with gr.Column(scale=0, min_width=160):
            start = gr.Button("Run", variant="primary", elem_id="run")
            stop = gr.Button("Stop")
    shown = gr.HTML(elem_id="curve")
    table = gr.DownloadButton("Table as CSV", visible=False, elem_id="table", size="sm")

    def run(axis_: Any, text: str, *others: Any) -> Iterator[tuple[str, Any]]:
        try:
            settings = _settings(others)
        except JsccError as error:
            yield markup.whole(markup.error(one_line(error))), gr.update(visible=False)
            return
        for html, file in growing_curve(*settings, axis_, text, folder):
            yield html, gr.update(visible=file is not None, value=file)

    running = start.click(
        run, [axis, values, *controls], [shown, table], show_progress="hidden", **ONE_AT_A_TIME
    )
    stop.click(None, cancels=[running], api_visibility="private")


def _results_tab() -> None:
    with gr.Row():
        file = gr.File(label="Store of jscc-sim sweep, or CSV of export", height=110, elem_id="rows")
        axis = gr.Radio(list(AXES), value="cbr", label="Over")
        y = gr.Dropdown(list(ALWAYS), value=ALWAYS[0], label="Drawn", elem_id="measure")
        where = gr.Textbox(label="Only rows with", placeholder="snr_db=10 channel=awgn", elem_id="where")
    shown = gr.HTML(elem_id="results")
    line = gr.Textbox(label="The same on the command line", lines=2, interactive=False, buttons=["copy"])

    def draw(path: str | None, *choice: Any) -> tuple[str, str]:
        return results_figure(path, *choice) if path else ("", "")

    def known(path: str | None) -> Any:
        return gr.update(choices=measures(path) if path else list(ALWAYS))

    file.change(known, file, y, api_visibility="private")
    gr.on([file.change, axis.change, y.change, where.submit, where.blur], draw, [file, axis, y, where],
          [shown, line], trigger_mode="always_last", **ONE_AT_A_TIME)  # fmt: skip
