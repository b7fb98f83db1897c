"""Figures as files: pictures side by side, sizes, the same bytes, and `jscc-sim plot`."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter
from processes import photograph, program, save
from tables import CBRS, GAINS_DB, REFERENCES, lose, results

from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.plots import Reconstruction, allocation_figure, comparison_sheet, reception_figure, save_figure
from jscc_sim.plots.curves import quality_figure
from jscc_sim.plots.style import WIDTHS
from jscc_sim.plots.table import read_csv

# --- pictures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reconstructions():
    """A picture of 96 x 160, sharp once and blurred once."""
    picture = np.ascontiguousarray(read_picture("astronaut")[:96, 150:310])
    blurred = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))
    index = np.arange(15) % 3
    return picture, [
        Reconstruction("sharp", picture, None, index, (0, 8, 16), cbr=0.0625),
        Reconstruction("blurred", blurred, 27.5, index[::-1], (0, 8, 16), cbr=0.0620),
    ]


def test_allocation_maps(reconstructions):
    picture, both = reconstructions
    figure = allocation_figure(picture, both)
    for axes, reconstruction in zip(figure.axes[:2], both, strict=True):
        assert f"{reconstruction.label}\n" in axes.get_title()
        shown = axes.images[1].get_array()
        np.testing.assert_array_equal(shown[::32, ::32].ravel(), reconstruction.index)
    with pytest.raises(InputError, match="blind has no allocation"):
        allocation_figure(picture, [*both, Reconstruction("blind", picture, None, None, (0, 8, 16))])


def test_comparison_sheet(reconstructions):
    picture, both = reconstructions
    figure = comparison_sheet(picture, both, [(8, 16), (0, 64)], side=40)
    crops = [axes.images[0].get_array() for axes in figure.axes]
    for crop, (source, top, left) in zip(
        crops,
        [(s, t, c) for t, c in ((8, 16), (0, 64)) for s in (picture, picture, both[1].picture)],
        strict=True,
    ):
        np.testing.assert_array_equal(crop, source[top : top + 40, left : left + 40])
    assert figure.axes[2].get_title() == "blurred\n27.50 dB\nCBR 0.0620"
    chosen = comparison_sheet(picture, both, side=48)
    assert len(chosen.axes) == 6


@pytest.mark.parametrize(
    ("cbr", "windows", "message"),
    [
        (0.07, None, "unequal CBR says nothing: sharp 0.0625, blurred 0.0700"),
        (None, None, "needs the CBR"),
        (0.0625, [(80, 0)], "window 80, 0 of 40 pixels is outside 96x160"),
    ],
)
def test_a_comparison_that_says_nothing(reconstructions, cbr, windows, message):
    picture, (sharp, _) = reconstructions
    with pytest.raises(InputError, match=message):
        comparison_sheet(
            picture, [sharp, Reconstruction("blurred", picture, 27.5, None, (0, 8), cbr)], windows, side=40
        )


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("make", [allocation_figure, comparison_sheet])
def test_titles_stay_on_the_figure(make, width, reconstructions):
    for count in (1, 2, 4):
        figure = make(reconstructions[0], reconstructions[1][1:] * count, width=width)
        figure.canvas.draw()
        boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
        assert max(box.y1 for box in boxes) <= figure.bbox.height
        assert min(box.x0 for box in boxes) >= 0
        assert max(box.x1 for box in boxes) <= figure.bbox.width


# --- files and the command line -------------------------------------------------------------------


@pytest.mark.parametrize("width", list(WIDTHS))
def test_size_on_paper(width, tmp_path):
    figure = quality_figure(results(tuple(GAINS_DB)), width=width)
    save_figure(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == pytest.approx(WIDTHS[width] * 300, abs=1)
    smallest = min(text.get_fontsize() for text in [*figure.texts, *figure.legends[0].get_texts()])
    assert smallest >= 6
    for artist in (*figure.texts, *figure.legends):
        box = artist.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= figure.axes[0].get_tightbbox().y0


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_bytes_every_time(suffix, tmp_path, reconstructions):
    for make in (
        lambda: quality_figure(results()),
        lambda: reception_figure(reconstructions[0], reconstructions[1]),
    ):
        for name in ("a", "b"):
            save_figure(make(), tmp_path / f"{name}{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_csv_keeps_what_a_table_says(tmp_path):
    table = lose(results(), "infeasible", cbr_budget=CBRS[0])
    table.loc[0, "image"] = "None"
    table["equaliser"] = "none"
    table.to_csv(tmp_path / "a.csv", index=False)
    again = read_csv(tmp_path / "a.csv")
    assert (again["image"][0], set(again["equaliser"]), again["seed"][1]) == (
        "None",
        {"none"},
        str(2**63 + 1),
    )
    assert again["outage"].dtype == bool
    np.testing.assert_array_equal(again["psnr_db"], table["psnr_db"].astype(float))
    results(companion="", complexity="").to_csv(tmp_path / "b.csv", index=False)
    assert set(read_csv(tmp_path / "b.csv")["companion"]) == {""}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results(snrs=(1.0, 10.0)).to_csv("a.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        "--x cbr --y psnr_db",
        "--x snr_db --y ssim --width full",
        "--y gain_db --where snr_db=10",
        "--y outage --x snr_db",
        f"--where cbr_budget=1/16,1/8 --where policy=uniform --reference {REFERENCES} --other-pictures",
        "--no-bands",
    ],
)
def test_plot(folder, options, capsys):
    if "outage" in options:
        results(snrs=(1.0, 10.0), outage=True).to_csv("a.csv", index=False)
    assert main(["plot", "a.csv", *options.split(), "--out", "a.svg"]) == 0
    assert capsys.readouterr().out == "a.svg\n"
    assert (folder / "a.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none.csv", "table none.csv cannot be read: No such file"),
        (".", "table . cannot be read: it is not a regular file"),
        ("bad.csv", "bad.csv has no column image, system"),
        ("empty.csv", "empty.csv cannot be read as a CSV table"),
        ("head.csv", "head.csv has no rows"),
        ("words.csv", "words.csv has something else than numbers in column psnr_db"),
        ("status.csv", "rows of status 'lost'"),
        ("bytes.csv", "bytes.csv cannot be read as a CSV table"),
        ("fake.sqlite", "fake.sqlite"),
        ("a.csv --out a.txt", "a.txt must end in one of"),
        ("a.csv --out none/a.png", "none/a.png cannot be written"),
        ("a.csv --where snr_db", "--where snr_db is not COLUMN=VALUE"),
        ("a.csv --where snr=1", "no column 'snr', but snr_db; it has image,"),
        ("a.csv --where zzz=1", "no column 'zzz'; it has image,"),
        ("a.csv --where cbr=1/17", "0.125; the budgets are in cbr_budget"),
        ("many.csv --where seed=0", "14, 15, 16, 17, 18, 19, 20, 21, ...\n"),
        ("picture.png", "picture.png cannot be read as a CSV table: it is no text, nor the store of a sweep"),
        ("a.csv --where snr_db=loud", "'loud' is no number"),
        ("a.csv --where cbr_budget=1/0", "'1/0' is no number"),
        ("a.csv --where snr_db=3", "no row has snr_db 3; there are 1, 10"),
        ("a.csv --where policy=best", "no row has policy best; there are lagrangian, uniform"),
        ("a.csv --parent conv", "--parent conv is not ZOO=PARENT"),
        ("a.csv --parent conv=none", "no zoo 'none'"),
        ("a.csv --reference a.csv", "a.csv has no column scheme, source"),
        ("a.csv --reference bare", "folder bare holds no CSV"),
        ("a.csv --no-bands --y outage", "--no-bands is of means of quality, not of outage"),
        ("a.csv --reference a.csv --y gain_db", "--reference is of means of quality, not of gain_db"),
        ("a.csv --where policy=lagrangian --y gain_db", "no gain over uniform"),
    ],
)
def test_bad_input_is_one_sentence(folder, words, message, capsys):
    (folder / "bad.csv").write_text("a,b\n1,2\n")
    (folder / "empty.csv").write_text("")
    (folder / "head.csv").write_text((folder / "a.csv").read_text().split("\n", 1)[0] + "\n")
    results().assign(psnr_db="high").to_csv("words.csv", index=False)
    results(status="lost").to_csv("status.csv", index=False)
    (folder / "bytes.csv").write_bytes(b"\x00\xff\xfe" * 100)
    (folder / "fake.sqlite").write_bytes(b"SQLite format 3\0" + bytes(100))
    (folder / "bare").mkdir()
    save(photograph(32, 32), folder / "picture.png")
    results(images=5).assign(seed=range(10, 50)).to_csv("many.csv", index=False)
    words = words.split()
    out = [] if "--out" in words else ["--out", "new.png"]
    assert main(["plot", *words, *out]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("jscc-sim: ")
    assert message in complaint
    assert complaint.count("\n") == 1
    assert "belief" not in complaint
    assert not (folder / "new.png").exists()


def test_a_reception_says_who_coded_it(reconstructions):
    picture, (first, _) = reconstructions
    figure = reception_figure(picture, [dataclasses.replace(first, coder="linear")])
    assert figure.axes[2].get_title() == "sharp\nPSNR lossless, coder linear"
    assert "coder" not in "".join(axes.get_title() for axes in reception_figure(picture, [first]).axes)


def test_a_reception_without_an_allocation_has_no_hole(reconstructions):
    """A baseline's: original and reception, zoomed where most was lost."""
    picture, (_, blurred) = reconstructions
    received = picture.copy()
    received[40:90, 100:150] = 255 - received[40:90, 100:150]
    reconstruction = dataclasses.replace(blurred, index=None, uses=(), picture=received)
    figure = reception_figure(picture, [reconstruction])
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1]
    zoom = figure.axes[3].images[0].get_array()
    assert (zoom != figure.axes[2].images[0].get_array()).any(axis=2).sum() == 50 * 50


def test_an_outage_says_so(reconstructions):
    picture, (_, blurred) = reconstructions
    grey = np.full_like(picture, 128)
    for outage in (True, False):
        figure = reception_figure(picture, [dataclasses.replace(blurred, picture=grey, outage=outage)])
        texts = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert sum("OUTAGE" in text for text in texts) == 2 * outage, "whole and zoomed"


@pytest.mark.parametrize("size", [(32, 8000), (8000, 32), (5, 7), (1, 1), (40, 120)])
@pytest.mark.parametrize("allocated", [True, False])
def test_receptions_of_long_and_of_small_pictures(size, allocated):
    """Nothing is collapsed or cut, and what is shown of a long picture holds the zoom."""
    rows, columns = size
    picture = np.random.default_rng(0).integers(0, 256, (rows, columns, 3), np.uint8)
    index = np.arange(-(-rows // 32) * -(-columns // 32)) % 3
    reconstruction = Reconstruction("a", 255 - picture, 10.0, index if allocated else None, (0, 8, 16))
    figure = reception_figure(picture, [reconstruction])
    assert max(figure.get_size_inches()) < 16
    figure.canvas.draw()
    whole = figure.axes[0]
    box = whole.get_window_extent()
    assert min(box.width, box.height) > 0.25 * max(box.width, box.height)
    (left, right), (bottom, top) = whole.get_xlim(), whole.get_ylim()
    assert (right - left) * (bottom - top) == min(rows, 3 * columns) * min(columns, 3 * rows)
    frame = whole.lines[-1]
    assert left <= frame.get_xdata().min() < frame.get_xdata().max() <= right
    assert top <= frame.get_ydata().min() < frame.get_ydata().max() <= bottom
    assert ("columns" in whole.get_title()) == (max(size) > 3 * min(size))


def test_the_figure_of_a_lost_frame(tmp_path, monkeypatch, capsys):
    """`transmit --figure` says that it was."""
    seen = []

    def drawn(original, reconstructions):
        seen.extend(reconstructions)
        return reception_figure(original, reconstructions)

    monkeypatch.setattr("jscc_sim.plots.reception_figure", drawn)
    image = save(photograph(), tmp_path / "a.png")
    command = ["transmit", str(image), "--system", "jpeg+ldpc-abstraction", "--cbr", "1/4", "--no-ssim"]
    for snr_db in ("20", "-9"):
        words = ["--snr-db", snr_db, "--sender-snr-db", "20", "--figure", str(tmp_path / "f.png")]
        assert main([*command, *words]) == 0
    assert capsys.readouterr().out.count("OUTAGE") == 1
    assert [reconstruction.outage for reconstruction in seen] == [False, True]


RUDE = "text.usetex: True\nsavefig.bbox: tight\nfont.family: serif\naxes.facecolor: red\n"


def test_a_users_matplotlibrc_changes_nothing(tmp_path):
    """Not even one that asks for a LaTeX that is not there."""
    (tmp_path / "results.csv").write_text(results(images=2).to_csv(index=False))
    drawn = []
    for name, settings in (("plain", ""), ("rude", RUDE)):
        (tmp_path / f"{name}rc").write_text(settings)
        env = {"MATPLOTLIBRC": str(tmp_path / f"{name}rc")}
        ran = program("plot", "results.csv", "--out", f"{name}.svg", cwd=tmp_path, env=env)
        assert ran.code == 0, ran.err
        drawn.append((tmp_path / f"{name}.svg").read_bytes())
    assert drawn[0] == drawn[1]


def test_long_titles_are_wrapped(reconstructions):
    original, (first, *_) = reconstructions[0], reconstructions[1]
    long = replace(
        first, label="a policy of somebody:overlap=0.2, channel.py:Impulsive:rate=0.01 10 dB, CBR 1/16"
    )
    figure = reception_figure(original, [long])
    (title,) = [axes.get_title() for axes in figure.axes if "somebody" in axes.get_title()]
    assert max(map(len, title.splitlines())) <= 44
    assert " ".join(title.split()).startswith(long.label)
