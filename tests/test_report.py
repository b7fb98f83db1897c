"""The page: whole in one file, escaped, and silent when a browser opens it."""

import base64
import json
import re
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
from browser import CHROMIUM
from processes import photograph, save
from tables import CBRS, REFERENCES, lose, results

from jscc_sim.cli import main
from jscc_sim.plots.table import read_references
from jscc_sim.reports import report
from jscc_sim.statistics import interval
from jscc_sim.sweeps.row import git_commit

EVIL = "<script>alert(1)</script><img src=http://127.0.0.1:9/x>&\"'"


class Tags(HTMLParser):
    """Tags with their attributes, and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def table():
    table = pd.concat([results(snrs=(1.0, 10.0)), results(snrs=(1.0, 10.0), side_info="genie")])
    table = table.reset_index(drop=True).assign(zoo_sha256="d5" * 32, git_commit=EVIL)
    table.loc[table["image"] == "1.png", "outage"] = True
    return lose(table, "infeasible", policy="lagrangian", cbr_budget=CBRS[0], image="3.png")


@pytest.fixture(scope="module")
def page(table):
    table = table.assign(image=table["image"].replace("0.png", EVIL), error=EVIL)
    return report(table, f"Title {EVIL}", source=EVIL)


def test_nothing_is_outside_and_nothing_is_a_program(page):
    assert {tag for tag, _ in Tags(page).tags} & {"script", "iframe", "object", "a", "form", "base"} == set()
    for tag, attributes in Tags(page).tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:"), tag
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_what_the_data_says_is_text(page):
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") > 3
    assert f"Title {EVIL}" in "".join(Tags(page).text)


def test_figures_are_vector_graphics_with_their_commands(page):
    images = [attributes for tag, attributes in Tags(page).tags if tag == "img"]
    assert len(images) == 2 * 5  # PSNR, SSIM, MS-SSIM, gain, outage over each axis
    for image in images:
        kind, data = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(data)
        assert image["alt"]
    assert "--x snr_db --y gain_db --width full" in "".join(Tags(page).text)


def test_tables_and_provenance(page):
    text = " ".join("\n".join(Tags(page).text).split())
    for words in (
        "128 trials (124 ok, 4 infeasible) on 4 images; 32 frames lost",
        "Rows marked genie",
        "lagrangian (genie)",
        "uniform 10 1/16 4 4 0.06250",
        "Gain over uniform",
        "lagrangian 10 1/16 4 1.000 0.500 1.500",
        "Infeasible and failed trials",
        "zoo_sha256 " + "d5" * 32,
        str(2**63 + 1),
        "Page made with jscc_sim",
    ):
        assert words in text, words


def test_seeds_hide_nothing(table):
    """A list of them on one line, or before the other columns, is wider than the page."""
    page = report(table, "T")
    assert "<th>cbr_budget</th><th>repeat</th><th>seed</th>" in page
    assert "<th>repeat</th><th>error</th><th>seed</th>" in report(table.assign(error=EVIL), "T")
    seeds = ", ".join(str(2**63 + image) for image in range(4))
    assert f"<tr><td>seed</td><td>{seeds}</td></tr>" in page, "a cell that may wrap"


def test_points_say_who_coded(table):
    mixed = table.assign(coder=["conv", *["linear"] * (len(table) - 1)], papr_db=9.0)
    text = " ".join("\n".join(Tags(report(mixed, "T")).text).split())
    assert "25.00% linear 9.0 0.50" in text
    assert "linear 3, conv 1 9.0" in text
    assert "coder" not in text[text.index("What was run") :], "an outcome is no condition"


def test_a_mean_says_over_how_many_images_it_is():
    """A lossless picture has no PSNR, and a picture of which nothing arrived has none without outages."""
    point = pd.concat([results(("uniform",), cbrs=(1 / 16,), images=3)] * 2, ignore_index=True)
    point["repeat"] = [0, 0, 0, 1, 1, 1]
    point["psnr_db"] = [30.0, 34.0, 38.0, 30.0, 34.0, None]
    point["mse"] = [65.025, 25.89, 10.31, 65.025, 25.89, 0.0]
    lossless = " ".join("\n".join(Tags(report(point, "T")).text).split())
    assert "uniform 10 1/16 3 6 0.06250 3.47% 32.00 (2 of 3 images)" in lossless
    lost = point.assign(outage=[True, False, False, True, True, False], psnr_db=[9, 34, 38, 9, 9, 38])
    text = " ".join("\n".join(Tags(report(lost, "T")).text).split())
    assert "3.47% 22.83 " in text, "outages count"
    assert "36.00 (2 of 3 images), 3 frames 0.8100 " in text
    assert "frames 0.8" not in " ".join("\n".join(Tags(report(lost.assign(outage=True), "T")).text).split())


def test_intervals_are_of_five_images_or_more():
    for images in (2, 4, 5, 6):
        table = results(images=images)
        psnr = table[(table["policy"] == "uniform") & (table["cbr_budget"] == CBRS[0])]["psnr_db"]
        half = f" ± {interval(psnr).half_width:.2f}"
        text = " ".join("\n".join(Tags(report(table, "T")).text).split())
        assert f"10.42% {psnr.mean():.2f}{half if images >= 5 else ''} " in text


def test_gains_are_named_by_their_policy():
    """Uniform has none: among what is left the policy does not vary, and the channel does."""
    table = pd.concat([results(), results(channel="rayleigh-slow")], ignore_index=True)
    text = " ".join("\n".join(Tags(report(table, "T")).text).split())
    gains = text[text.index("gain dB") :]
    for channel in ("awgn", "rayleigh-slow"):
        assert f"lagrangian, {channel} 10 1/48 4 1.000" in gains


def test_published_curves_of_other_pictures_are_marked():
    references, table = read_references([REFERENCES / "swinjscc.csv"]), results(("uniform",))
    pages = [report(table, "T", references=references, other_pictures=other) for other in (False, True)]
    assert ["--reference FILE --other-pictures" in page for page in pages] == [False, True]
    svgs = [base64.b64decode(Tags(page).tags[[t for t, _ in Tags(page).tags].index("img")][1]["src"][26:])
            for page in pages]  # fmt: skip
    assert svgs[0] != svgs[1]


def test_a_table_of_one_point_has_a_page_and_always_the_same():
    point = results(("uniform",), cbrs=(1 / 16,), images=1)
    page = report(point, "T")
    assert page == report(point, "T")
    text = "".join(Tags(page).text)
    assert "Gain over uniform" not in text
    assert "Infeasible" not in text


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results(("uniform",), snrs=(1.0, 10.0)).to_csv("a b.csv", index=False)
    assert main(["report", "a b.csv", "-o", "page.html", "--where", "snr_db=10", "--title", "Mine"]) == 0
    assert capsys.readouterr().out.startswith("page.html: 16 trials")
    page = (tmp_path / "page.html").read_text()
    assert "<title>Mine</title>" in page
    assert "jscc-sim plot 'a b.csv' --where snr_db=10 --x cbr" in "".join(Tags(page).text)
    assert main(["report", "none.csv", "-o", "page.html"]) == 2
    assert main(["report", "a b.csv", "-o", "none/page.html"]) == 2
    assert "none/page.html cannot be written" in capsys.readouterr().err


GRID = """
seed = 0
images = ["a.png"]
channels = ["awgn"]
snr_db = [10]
cbr = ["1/900", "1/24", "1/12"]
[[systems]]
name = "block-jscc"
zoo = "linear"
policy = "uniform"
"""


def test_a_store_and_its_export_are_the_same_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(photograph(), "a.png")
    (tmp_path / "grid.toml").write_text(GRID)
    assert main(["sweep", "grid.toml", "--store", "store.sqlite", "--workers", "1"]) == 0
    assert main(["export", "store.sqlite", "--csv", "store.csv"]) == 0
    for kind in ("sqlite", "csv"):
        assert main(["plot", f"store.{kind}", "--out", f"{kind}.svg"]) == 0
        assert main(["report", f"store.{kind}", "-o", f"{kind}.html"]) == 0
    capsys.readouterr()
    assert (tmp_path / "sqlite.svg").read_bytes() == (tmp_path / "csv.svg").read_bytes()
    pages = [(tmp_path / f"{kind}.html").read_text().replace(f".{kind}", "") for kind in ("sqlite", "csv")]
    assert pages[0] == pages[1]
    text = " ".join(" ".join(Tags(pages[0]).text).split())
    assert "uniform 10 1/900 0 0 infeasible" in text
    assert ("git_commit" in text) == (git_commit() is not None), "a folder without .git says nothing"


@pytest.fixture
def requests(tmp_path):
    """Opens a page in a real browser: what the page asked the network for, and its document."""

    def look(page):
        log = tmp_path / "net.json"
        (tmp_path / "page.html").write_text(page)
        address = f"file://{tmp_path / 'page.html'}"
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
                   "--virtual-time-budget=3000", "--dump-dom", address]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        text = log.read_text().rstrip().rstrip(",")
        events = json.loads(text if text.endswith("}") else text + "]}")["events"]
        asked = [event["params"] for event in events if "url" in event.get("params", {})]
        mine = [ask["url"] for ask in asked if ask.get("initiator", "not an origin") != "not an origin"]
        return [url for url in mine if not url.startswith("data:")], done.stdout

    return look


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the report in (apt install chromium)")
def test_a_browser_asks_for_nothing(requests, page):
    asked, document = requests(page)
    assert asked == []
    assert "Gain over uniform" in document
    assert document.count("<figure>") == 10


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the report in (apt install chromium)")
def test_the_browser_test_sees_requests(requests, page):
    image = '<img src="http://127.0.0.1:9/x.png">'
    bare = re.sub(r"<meta http-equiv[^>]*>", "", page)
    assert requests(bare.replace("<body>", f"<body>{image}"))[0] == ["http://127.0.0.1:9/x.png"]
    assert requests(page.replace("<body>", f"<body>{image}"))[0] == [], "the page's own policy forbids it"


def test_a_page_by_a_package_that_is_not_installed(table, monkeypatch):
    monkeypatch.setattr("jscc_sim.reports.MADE_WITH", ("no such distribution",))
    assert "Page made with no such distribution unknown" in " ".join(Tags(report(table, "T")).text)
