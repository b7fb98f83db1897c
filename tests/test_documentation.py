"""The documentation builds without a warning, has no dead link, loads nothing from outside, and what it shows
works. Its tutorials are executed by `make docs`, and here with the slow tests."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from processes import photograph, save

import jscc_sim
from jscc_sim.cli import build_parser, main

for package in ("sphinx", "myst_nb", "furo"):
    pytest.importorskip(package, reason=f"the documentation needs {package}: pip install 'jscc_sim[docs]'")

from generated import means_of, restructured, selected  # noqa: E402 - needs sphinx

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SOURCES = sorted(DOCS.rglob("*.md"))
OWN = ("own_policy", "own_estimator", "own_channel", "own_metric", "own_data")
MOST_SECONDS = 60
"""That a tutorial may take on two cores that have nothing else to do."""

LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}
"""Attributes that a browser follows by itself."""


class Page(HTMLParser):
    """links: where a reader may go; loads: what a browser fetches; ids: places in it; text: its words."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.text = [], [], set(), ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if found.get(LOADED.get(tag, "")):
            self.loads.append(found[LOADED[tag]])

    def handle_data(self, data):
        self.text += data


def build(out, *options, seconds):
    """Sphinx as `make docs` calls it. Returns what it said."""
    words = ["-m", "sphinx", "-W", "--keep-going", *options, "-d", out / "doctrees", DOCS, out / "html"]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def commands_of(text):
    """Lines that a page has its reader type."""
    return "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All pages, their code as it stands. Path below the site -> page."""
    out = tmp_path_factory.mktemp("documentation")
    build(out, "-q", "-D", "nb_execution_mode=off", "-D", "suppress_warnings=myst-nb.lexer", seconds=300)
    return {path: Page(path) for path in sorted((out / "html").rglob("*.html"))}


def page(site, name):
    return next(found for path, found in site.items() if path.stem == name)


def test_no_link_is_dead(site):
    for path, found in site.items():
        for link in {*found.links, *found.loads}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].ids, f"{path.name}: {link}"


def test_nothing_is_loaded_from_outside(site):
    for path, found in site.items():
        assert not [load for load in found.loads if re.match(r"(\w+:)?//", load)], path
    for style in next(iter(site)).parent.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()), style


def test_every_public_name_is_in_the_reference(site):
    wanted = {f"jscc_sim.{name}" for name in jscc_sim.__all__ if name != "__version__"}
    assert wanted <= page(site, "api").ids


def test_every_command_is_there(site):
    (commands,) = (action for action in build_parser()._actions if action.dest == "==SUPPRESS==")
    assert {f"jscc-sim-{name}" for name in commands.choices} <= page(site, "commands").ids
    text = page(site, "commands").text
    for name, parser in commands.choices.items():
        options = {word for action in parser._actions for word in action.option_strings} - {"-h", "--help"}
        assert all(word in text for word in options), name


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_it_names_exists(source):
    text = source.read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in [*commands_of(text), *re.findall(r"`(make [a-z-]+)`", text)]:
        words = shlex.split(line.split(">")[0])
        if words[0] == "jscc-sim":
            build_parser().parse_args(words[1:])
        elif words[0] == "make":
            assert set(words[1:]) <= set(targets), line
    for script in re.findall(r"python ((?:experiments|examples)/[\w/]+\.py)", text):
        assert (ROOT / script).exists(), script


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", OWN)
def test_a_plug_in_of_ones_own(name, tmp_path, monkeypatch):
    """Its files are written, its commands run, its tests pass, its Python runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "photos").mkdir()
    save(photograph(160, 192), tmp_path / "photo.png")
    save(photograph(160, 192, "coffee"), tmp_path / "photos" / "coffee.png")
    text = (DOCS / f"{name}.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    files = {found[1]: block for block in code if (found := re.match(r"# (\w+\.py)\n", block))}
    for file, block in files.items():
        (tmp_path / file).write_text(block)
    for line in commands_of(text):
        words = shlex.split(line)
        if words[0] == "pytest":
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *words[1:]],
                capture_output=True,
                text=True,
                check=False,
            )
            assert "passed" in done.stdout, done.stdout
            assert done.returncode == 0, done.stdout
        else:
            assert main(words[1:]) == 0
    for block in code:
        if block not in files.values():
            exec(compile(block, name, "exec"), {"__name__": name})
    for figure in re.findall(r'out="(\w+\.png)"', text):
        assert (tmp_path / figure).stat().st_size > 1000


@pytest.mark.slow
def test_the_tutorials_run(tmp_path):
    said = build(tmp_path, seconds=1200)
    seconds = dict(re.findall(r"(\w+)\.md: .*?Executed notebook in ([\d.]+) seconds", said))
    executed = {path.stem for path in SOURCES if "{code-cell}" in path.read_text()}
    assert seconds.keys() == executed
    assert {path.stem for path in (DOCS / "tutorials").glob("*.md")} < executed
    assert all(float(value) < MOST_SECONDS for value in seconds.values()), seconds
    for name in executed:
        (html,) = (tmp_path / "html").rglob(f"{name}.html")
        assert 'class="cell_output' in html.read_text(), name
        assert "Figure size" not in html.read_text(), f"{name}: a figure that is only named"


# --- what the pages are made with ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Noise of 10**(-snr_db/10), `code_` in it."], [r"Noise of 10\*\*(-snr\_db/10), ``code_`` in it."]),
        (["One.", "a, b: first", "    goes on"], ["One.", "", "a, b: first", "goes on"]),
        (["Thus:", "", "    send(x)", ""], ["Thus:", "", "::", "", "    send(x)"]),
        (["A lone ` is no code_."], [r"A lone \` is no code\_."]),
    ],
)
def test_docstrings_are_prose(lines, expected):
    assert restructured(lines)[: len(expected)] == expected


def test_means_are_those_of_the_table():
    rows = pd.DataFrame(
        {
            "system": ["a", "a", "b", "b", "a", "a", "b"],
            "image": ["x", "y", "x", "y", "x", "y", "x"],
            "cbr": ["1/8", "1/8", "1/8", "1/8", "1/16", "1/16", "1/16"],
            "psnr_db": [20.0, 30.0, 27.0, 29.0, 31.0, 32.0, 33.0],
        }
    )
    means = means_of(rows, "system", "cbr")
    assert means.columns.tolist() == ["1/16", "1/8"]
    assert means.index.tolist() == ["b", "a"]
    assert means.loc["a"].tolist() == [31.5, 25.0]
    assert means.loc["b", "1/8"] == 28.0
    assert pd.isna(means.loc["b", "1/16"]), "a picture is missing there"
    assert selected(rows, "cbr=1/16 system=a,b")["psnr_db"].tolist() == [31.0, 32.0, 33.0]
    with pytest.raises(ValueError, match="no row has cbr=1/3"):
        selected(rows, "cbr=1/3")
