"""README and documentation say what the tables of results/ say."""

import re
import sys
from pathlib import Path

import pytest

from jscc_sim.errors import InputError
from jscc_sim.zoo import load_zoo

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def documented():
    sys.path.insert(0, str(ROOT / "experiments"))
    try:
        import documented
    finally:
        sys.path.pop(0)
    return documented


def test_every_table_is_on_a_page_and_up_to_date(documented):
    found = []
    for path in documented.pages():
        text = path.read_text()
        assert documented.rewritten(text, path.parent) == text, "python experiments/documented.py"
        found += re.findall(r"<!-- made: (\w+) -->", text)
        assert text.count("<!-- made") == text.count("<!-- end -->"), path
    assert sorted(found) == sorted(documented.TABLES)


def test_zoos_say_of_themselves_what_the_table_says(documented):
    lines = documented.zoo_lines()
    assert {"conv", "conv-small", "linear"} <= lines.keys()
    for zoo, line in lines.items():
        assert load_zoo(zoo).manifest["measured"] == [line], "python experiments/documented.py"


def test_a_number_that_was_changed_by_hand_is_put_right(documented):
    text = (ROOT / "README.md").read_text()
    number = re.search(r"\| 10 dB \| (\d\d\.\d\d)", text)[1]
    wrong = text.replace(number, "99.99")
    assert wrong != text
    assert documented.rewritten(wrong, ROOT) == text


def test_stale_tables_say_so(documented, monkeypatch, tmp_path):
    for name, content in (
        ("old", '{"stale": "of before"}'),
        ("older", '{"stale": "of before"}'),
        ("new", "{}"),
    ):
        (tmp_path / f"{name}.json").write_text(content)
    monkeypatch.setattr("documented_tables.RESULTS", tmp_path)
    assert documented.stale(["new"]) == ""
    assert documented.stale(["new", "old", "older"]) == "(Stale: of before.)"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- made: quality -->\n",
        "<!-- end -->",
        "<!-- made: quality -->\n<!-- made: zoos -->\n<!-- end -->",
        "<!--made: quality -->\n<!-- end -->",
        "<!-- made: quality -->\nkept\n<!-- made: zoos -->\n<!-- end -->\n<!-- end -->",
    ],
)
def test_a_line_that_begins_or_ends_no_table_deletes_nothing(documented, text):
    with pytest.raises(InputError, match=r"a page has \d lines `made`"):
        documented.rewritten(text, ROOT)


def test_points_of_different_pictures_are_no_table(documented, monkeypatch, tmp_path):
    lines = (ROOT / "results" / "psnr_vs_cbr.csv").read_text().splitlines(True)
    (tmp_path / "psnr_vs_cbr.csv").write_text("".join(lines[:150]))
    monkeypatch.setattr("documented_tables.RESULTS", tmp_path)
    with pytest.raises(InputError, match=r"psnr_vs_cbr.csv has \d pictures at a point"):
        documented.TABLES["below_uniform"][0]()
    with pytest.raises(InputError, match=r"psnr_vs_cbr.json cannot be read"):
        documented.stale(["psnr_vs_cbr.csv"])


def test_an_unknown_table_is_named(documented):
    with pytest.raises(InputError, match="no table prices is made here, but quality, "):
        documented.rewritten("<!-- made: prices -->\n<!-- end -->", ROOT)
