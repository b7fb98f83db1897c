"""The page: what it computes, always; the page itself in a real browser, where there are one and Gradio."""

import asyncio
import json
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import replace
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, Browser
from processes import photograph, save
from tables import results

import jscc_sim
from jscc_sim.channels import AirTime, Received
from jscc_sim.cli import build_parser, main
from jscc_sim.demo import server
from jscc_sim.demo.chosen import MOST_PIXELS, choose, scaled_down
from jscc_sim.demo.curve import growing_curve, points
from jscc_sim.demo.numbers import NONE, compared
from jscc_sim.demo.pixels import (
    GAIN,
    block_psnr_db,
    constellation_image,
    equalised_symbols,
    error_image,
    psnr_image,
    uses_image,
)
from jscc_sim.demo.reception import reception
from jscc_sim.demo.results import ALWAYS, measures, results_figure
from jscc_sim.demo.sending import send
from jscc_sim.demo.settings import SYSTEM_CHOICES, Air, Scheme, command
from jscc_sim.errors import InputError
from jscc_sim.metrics import psnr_between

FOLDER = Path(server.__file__).parent
A, B = Scheme(zoo="linear"), Scheme(policy="uniform", zoo="linear")
AIR = Air(cbr="1/6")
EVIL = "<script>alert(1)</script>&.png"


@pytest.fixture
def picture(tmp_path):
    return str(save(photograph(), tmp_path / "a b.png"))


def sentences(html):
    return [unescape(words) for words in re.findall(r'role="alert">(.*?)</p>', html)]


def alts(html):
    return re.findall(r'alt="(.*?)"', html)


# --- the picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3000, 4000, 3), (2, 3_000_000, 3), (1500, 1500, 3)])
def test_a_large_picture_is_scaled(shape):
    large = np.zeros(shape, np.uint8)
    small = scaled_down(large)
    height, width = small.shape[:2]
    assert 0.8 * MOST_PIXELS < height * width <= MOST_PIXELS
    if shape[0] > 2:
        assert height / width == pytest.approx(shape[0] / shape[1], rel=2e-3)


def test_a_small_one_is_not(picture):
    pixels = photograph()
    assert scaled_down(pixels) is pixels
    chosen = choose(picture)
    assert chosen.note == ""
    assert np.array_equal(chosen.pixels, pixels)
    assert choose(picture) is chosen


def test_the_page_says_that_it_is_scaled(tmp_path):
    large = save(np.full((3000, 4000, 3), 128, np.uint8), tmp_path / "large.png")
    chosen = choose(str(large))
    assert chosen.pixels.shape == (1224, 1632, 3)
    assert "large.png has 3000x4000 pixels, 12.0 million" in chosen.note
    assert "1224x1632" in chosen.note


# --- pixels and numbers ---------------------------------------------------------------------------


def test_errors_are_amplified_and_clipped():
    original = np.full((2, 2, 3), 100, np.uint8)
    received = original.copy()
    received[0, 0], received[1, 1] = 97, 200
    error = error_image(received, original)
    assert error[0, 0].tolist() == [3 * GAIN] * 3
    assert error[1, 1].tolist() == [255] * 3
    assert not error[0, 1].any()


def test_the_psnr_of_blocks_is_that_of_their_pixels():
    original = photograph(96, 128)
    received = original.copy()
    received[32:64, 96:] //= 2
    psnr_db = block_psnr_db(received, original)
    assert psnr_db.shape == (3, 4)
    assert psnr_db[1, 3] == pytest.approx(psnr_between(received[32:64, 96:], original[32:64, 96:]))
    assert np.isinf(np.delete(psnr_db, 7)).all()
    colours = psnr_image(psnr_db)
    assert colours.shape == (3, 4, 3)
    assert len({tuple(colour) for colour in colours.reshape(-1, 3)}) == 2


def test_a_block_of_uses_has_its_colour():
    colours = uses_image(np.array([[0, 16], [768, 16]]), (0, 16, 768))
    assert colours.shape == (2, 2, 3)
    assert colours[0, 1].tolist() == colours[1, 1].tolist()
    assert len({tuple(colour) for colour in colours.reshape(-1, 3)}) == 3


def test_symbols_fall_where_they_belong():
    """Up is the imaginary part, right the real one; the plane holds nearly all of them."""
    image, half = constellation_image(np.array([1 + 1j, 1 + 1j, -1 - 0.5j], np.complex64))
    assert half == 1.5
    rows, columns = np.nonzero(image[..., 3])
    middle = len(image) // 2
    assert sorted(zip(rows < middle, columns > middle, strict=True)) == [(False, False), (True, True)]
    assert constellation_image(np.zeros(0, np.complex64))[1] == 1.5


def test_fading_that_is_known_is_undone():
    sent = np.array([1, 1j, -1], np.complex64)
    fades = np.array([2, 0.5j, 1], np.complex64)
    undone = equalised_symbols(Received(sent * fades, 0.1, fades))
    assert np.allclose(undone, sent, atol=1e-5)


def test_numbers_of_what_was_sent_and_of_what_was_not(picture):
    sent = send(choose(picture), AIR, A)
    rows = {name: values for name, *values in compared([sent, None])}
    assert rows["PSNR"] == [f"{sent.psnr_db:.2f} dB", NONE]
    assert rows["channel uses"][0] == f"{sent.uses} of {sent.budget_uses}"
    assert rows["header"][0].startswith(f"{sent.header_uses} uses, ")
    assert rows["MS-SSIM"] == [NONE, NONE], "the picture is too small"
    on_carriers = replace(sent, air=AirTime(80, 10, 7, 3))
    assert ["of the uses", "80 data, 10 pilots, 7 prefix, 3 preamble"] in compared([on_carriers])


# --- settings and their command -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("air", "scheme"),
    [
        (AIR, A),
        (Air(7, "1/5", "rayleigh-block:64", "noisy:20", sender_snr_db=10, seed=3), B),
        (Air(12, "1/4", "rician-slow:4", seed=2), Scheme("softcast")),
    ],
)
def test_the_command_does_the_same(picture, air, scheme, capsys):
    name, *words = shlex.split(command(picture, air, scheme))
    assert name == "jscc-sim"
    main([*words, "--json"])
    row = json.loads(capsys.readouterr().out)
    sent = send(choose(picture), air, scheme)
    assert (row["psnr_db"], row["uses"], row["ssim"]) == (sent.psnr_db, sent.uses, sent.quality.ssim)


def test_the_command_says_what_is_not_usual_alone():
    assert command("a b.png", Air(), Scheme("softcast")) == (
        "jscc-sim transmit 'a b.png' --snr-db 10 --cbr 1/16 --system softcast"
    )
    build_parser().parse_args(shlex.split(command("-a.png", Air(sender_snr_db=-2), A))[1:])


def test_every_system_that_is_offered_exists():
    assert all(Scheme(system).spec().load() for system in SYSTEM_CHOICES)


@pytest.mark.parametrize("channel", ["mine.py:Mine", "package.module:Class", "nothing"])
def test_plug_ins_are_refused(channel):
    with pytest.raises(InputError, match=re.escape(f"channel {channel!r} is none of the package's own")):
        Air(channel=channel)


# --- what is shown --------------------------------------------------------------------------------


def test_two_systems_side_by_side(picture):
    html = reception(picture, AIR, [A, Scheme("softcast")])
    assert sentences(html) == []
    for letter in "AB":
        assert {f"received by {letter}", f"error of {letter}", f"{letter}, symbols received"} <= {*alts(html)}
    assert "uses of A" in alts(html)
    assert "B, softcast has no blocks" in html
    assert f"A: {send(choose(picture), AIR, A).psnr_db:.2f} dB, lagrangian, linear" in html
    assert html.count('class="view"') == 9


def test_one_that_cannot_send_says_so_and_the_other_is_shown(picture):
    html = reception(picture, Air(cbr="1/24"), [A, Scheme("jpeg+ldpc-abstraction")])
    (sentence,) = sentences(html)
    assert "bits are below" in sentence
    assert "received by A" in alts(html)
    assert "received by B" not in alts(html)


def test_a_budget_that_nothing_fits(picture):
    html = reception(picture, Air(-5, "1/200"), [A, B])
    assert len(sentences(html)) == 2
    assert all("184 uses" in sentence for sentence in sentences(html))
    assert "Traceback" not in html


def test_an_outage_is_marked(picture):
    html = reception(picture, Air(-10, "1/6", sender_snr_db=20), [A, B])
    assert "OUTAGE: the frame could not be decoded" in html
    assert "A: OUTAGE, lagrangian, linear" in html


def test_bad_files_are_said_by_their_name(tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    assert sentences(reception(str(tmp_path / "bad.png"), AIR, [A, B])) == [
        "bad.png is not an image in a known format"
    ]


def test_names_are_text(tmp_path):
    (tmp_path / EVIL.replace("/", "")).write_text("no picture")
    html = reception(str(tmp_path / EVIL.replace("/", "")), AIR, [A, B])
    assert "<script>" not in html
    assert sentences(html)


def test_what_the_page_carries_asks_for_nothing():
    for name in ("viewer.css", "viewer.js"):
        text = (FOLDER / name).read_text()
        assert not re.search(r"https?:|@import|url\(|fetch|XMLHttp|import\(", text), name


# --- curves ---------------------------------------------------------------------------------------


def test_a_curve_grows(picture, tmp_path):
    shown = list(growing_curve(picture, AIR, [A, B], "snr_db", "4, 10", tmp_path))
    bars = [re.findall(r'<progress value="(\d)" max="2">', html) for html, _ in shown]
    assert bars == [["0"], ["1"], ["2"], []]
    assert ["PSNR over snr_db" in html for html, _ in shown] == [False, True, True, True]
    assert [file for _, file in shown[:-1]] == [None] * 3
    rows = jscc_sim.load(shown[-1][1])
    assert len(rows) == 4
    sent = send(choose(picture), AIR, A)
    ours = rows[(rows["policy"] == "lagrangian") & (rows["snr_db"] == 10)]
    assert ours["psnr_db"].iloc[0] == pytest.approx(sent.psnr_db, abs=0.3), "under other noise"
    assert set(rows["image"].map(lambda name: Path(name).name)) == {"a b.png"}


def test_a_curve_over_cbr_says_where_nothing_fits(picture, tmp_path):
    *_, (html, file) = growing_curve(picture, Air(-5), [A, A], "cbr", "1/200", tmp_path)
    assert "there is nothing to draw" in sentences(html)[0]
    assert jscc_sim.load(file)["status"].tolist() == ["infeasible"]


@pytest.mark.parametrize(
    ("axis", "text", "said"),
    [
        ("snr_db", "", "0 values, where a curve here has 1 to 24"),
        ("snr_db", ",".join(map(str, range(25))), "25 values"),
        ("snr_db", "4, ten", "SNR 'ten' is no number"),
        ("snr_db", "400", "outside -30 to 60"),
        ("cbr", "1/16, 0", "CBR 0 is outside"),
    ],
)
def test_values_that_are_none(axis, text, said, picture, tmp_path):
    with pytest.raises(InputError, match=said):
        points(axis, text)
    ((html, file),) = growing_curve(picture, AIR, [A, B], axis, text, tmp_path)
    assert said in sentences(html)[0]
    assert file is None


def test_rows_of_a_sweep_are_drawn(tmp_path):
    table = tmp_path / "rows.csv"
    pd.concat([results(snrs=(1.0, 10.0))]).assign(gmsd=0.1).to_csv(table, index=False)
    assert {*ALWAYS, "gmsd"} <= {*measures(str(table))}
    for y in ("psnr_db", "gain_db", "outage"):
        html, line = results_figure(str(table), "cbr", y, "snr_db=10")
        assert alts(html) == [f"{y} over cbr"]
        arguments = build_parser().parse_args(shlex.split(line)[1:])
        assert (arguments.file, arguments.y, arguments.where) == ("rows.csv", y, ["snr_db=10"])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("snr_db=3", "no row has snr_db 3"),
        ("snr_db", "snr_db is not COLUMN=VALUE"),
        ("'snr_db=10", "No closing quotation"),
        ("colour=red", "no column 'colour'"),
    ],
)
def test_rows_that_there_are_not(where, said, tmp_path):
    results(("uniform",)).to_csv(tmp_path / "rows.csv", index=False)
    html, line = results_figure(str(tmp_path / "rows.csv"), "cbr", "psnr_db", where)
    assert said in sentences(html)[0]
    assert line == ""


def test_no_table(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"\x00\x01")
    html, _ = results_figure(str(tmp_path / "rows.csv"), "cbr", "psnr_db")
    assert sentences(html)[0].startswith("rows.csv") or "table rows.csv" in sentences(html)[0]
    assert measures(str(tmp_path / "rows.csv")) == list(ALWAYS)


# --- the command ----------------------------------------------------------------------------------


def test_without_gradio_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr("jscc_sim.demo.command.find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == "jscc-sim: the page needs Gradio: pip install 'jscc_sim[demo]'\n"


def test_ports(capsys):
    assert main(["demo", "--port", "70000"]) == 2
    assert "--port 70000 is outside" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {number} of 127.0.0.1 cannot be used"):
            server._listening(number)
    with server._listening(None) as first, server._listening(None) as second:
        assert first.getsockname()[1] < second.getsockname()[1]


def test_help_loads_neither_gradio_nor_torch():
    code = (
        "import sys, jscc_sim.cli as c\ntry:\n c.main(['demo', '--help'])\n"
        "finally:\n print({'gradio', 'torch', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("set()\n")


def test_answers_tell_the_browser_to_ask_nobody_else():
    heard, said = [], []

    async def app(scope, receive, send):
        heard.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        said.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", b"br"), (b"host", b"x")]}
    asyncio.run(server.Alone(app)(scope, None, send))
    assert heard[0]["headers"] == [(b"host", b"x")]
    assert dict(said[0]["headers"])[b"content-security-policy"] == server.POLICY.encode()
    assert "http" not in server.POLICY


# --- the page itself ------------------------------------------------------------------------------

MISSING = [name for name, there in (("Gradio (extra demo)", find_spec("gradio")),
                                    ("chromium (apt install chromium)", CHROMIUM)) if not there]  # fmt: skip
in_a_browser = pytest.mark.skipif(bool(MISSING), reason=f"the page needs {' and '.join(MISSING)}")

TYPE = """(() => {
  const into = document.querySelector(%s);
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(into), "value").set.call(into, %s);
  for (const what of ["input", "change", "blur"]) into.dispatchEvent(new Event(what, {bubbles: true}));
})()"""
CAPTION = "(document.querySelectorAll('#reception figcaption')[{}] || {{}}).innerText || ''"
SHOWN = "[...document.querySelectorAll('#reception .view img')].map((image) => image.src.slice(-99)).join()"
ALERT = "[...document.querySelectorAll('{} .error')].map((said) => said.innerText).join('; ')"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of the page, served as a user has it served."""
    command_ = [sys.executable, "-m", "jscc_sim", "demo", "--no-browser", "--port", "0"]
    errors = tmp_path_factory.mktemp("demo") / "errors.txt"
    with errors.open("w") as log:
        process = subprocess.Popen(command_, stdout=subprocess.PIPE, stderr=log, text=True)
    found = re.match(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found, errors.read_text()
    yield found[0]
    process.terminate()
    process.communicate(timeout=30)
    assert "Traceback" not in errors.read_text(), errors.read_text()


@pytest.fixture(scope="module")
def browser(address, tmp_path_factory):
    """A window with the page in it, once it has sent its first picture."""
    window = Browser(tmp_path_factory.mktemp("profile"))
    try:
        window.window(1400, 1000)
        window.open(f"{address}/")
        window.until(f"{CAPTION.format(1)}.includes('dB')", 90)
        yield window
    finally:
        window.close()


def type_into(browser, selector, text):
    browser.script(TYPE % (json.dumps(selector), json.dumps(str(text))))


def there(browser, selector):
    browser.until(f"document.querySelector({json.dumps(selector)}) !== null")


def tab(browser, name):
    """Opens it, once there is room for it in the row."""
    find = f"[...document.querySelectorAll('[role=tab]')].find((tab) => tab.innerText == '{name}')"
    browser.until(f"((tab) => tab && (tab.click(), true))({find})")


@in_a_browser
def test_the_page_shows_a_picture_and_asks_nobody_else(browser, address):
    assert browser.script(CAPTION.format(0)) == "astronaut, 512x512"
    assert browser.script("document.querySelectorAll('#reception .view').length") == 9
    line = browser.script("document.querySelector('#command textarea').value")
    assert line.startswith("jscc-sim transmit astronaut --snr-db 10 --cbr 1/16 --zoo conv-small")
    assert browser.requests
    assert [asked for asked in browser.requests if not asked.startswith(f"{address}/")] == []
    assert browser.errors == []


@in_a_browser
def test_a_dropped_picture_and_a_slider_change_what_is_shown(browser, picture):
    browser.put("#picture input[type=file]", picture)
    browser.until(f"{CAPTION.format(0)} == 'a b.png, 96x128'")
    before = browser.script(SHOWN)
    type_into(browser, "#snr input[type=number]", 2)
    browser.until(f"{SHOWN} != {json.dumps(before)}")
    browser.until("document.querySelector('#command textarea').value.includes(\"'a b.png' --snr-db 2\")")


@in_a_browser
def test_the_zoom_is_the_same_in_all(browser):
    transforms = (
        "[...new Set([...document.querySelectorAll('#reception .layer')]"
        ".map((layer) => getComputedStyle(layer).transform.split(',')[0]))].join()"
    )
    assert browser.script(transforms) == "matrix(1"
    browser.script("document.querySelector('[data-zoom=in]').click()")
    assert browser.until(transforms) == "matrix(2"
    browser.script("document.querySelector('[data-zoom=whole]').click()")
    assert browser.until(transforms) == "matrix(1"


@in_a_browser
def test_what_goes_wrong_is_one_sentence_of_the_page(browser, picture, tmp_path):
    type_into(browser, "#snr input[type=number]", -5)
    type_into(browser, "#cbr input[type=number]", 200)
    said = browser.until(ALERT.format("#reception"))
    assert "184 uses" in said
    type_into(browser, "#cbr input[type=number]", 16)
    browser.until(f"!({ALERT.format('#reception')})")
    (tmp_path / "bad.png").write_text("no picture")
    browser.script("document.querySelector('#picture button[aria-label=Clear], #picture button').click()")
    there(browser, "#picture input[type=file]")
    browser.put("#picture input[type=file]", tmp_path / "bad.png")
    said = browser.until(ALERT.format("#reception"))
    assert said == "bad.png is not an image in a known format"
    browser.script("document.querySelector('#picture button[aria-label=Clear], #picture button').click()")
    browser.until(f"{CAPTION.format(0)} == 'astronaut, 512x512'")


@in_a_browser
def test_wide_and_narrow_windows(browser):
    across = "getComputedStyle(document.querySelector('.panes')).gridTemplateColumns.split(' ').length"
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for width, columns, dark in ((1400, 3, False), (420, 1, True)):
        browser.window(width, 900, dark)
        browser.until(f"{across} == {columns}")
        assert not browser.script(too_wide), width
    browser.window(1400, 1000)


@in_a_browser
def test_a_curve_and_its_table(browser):
    tab(browser, "Draw a curve")
    browser.until("(document.querySelector('#points textarea') || {}).value == '0, 5, 10, 15, 20'")
    type_into(browser, "#points textarea", "5, 15")
    browser.script("document.querySelector('#run').click()")
    there(browser, "#curve img.drawn")
    browser.until("document.querySelectorAll('#curve tr').length == 5")
    there(browser, "#table")


@in_a_browser
def test_rows_of_a_file_are_plotted(browser, tmp_path):
    results(snrs=(1.0, 10.0)).to_csv(tmp_path / "rows.csv", index=False)
    tab(browser, "Plot a sweep")
    there(browser, "#rows input[type=file]")
    browser.put("#rows input[type=file]", tmp_path / "rows.csv")
    there(browser, "#results img.drawn")
    assert (
        browser.script("document.querySelector('#results').innerText")
        .strip()
        .startswith("rows.csv: 64 rows, 4 pictures")
    )
