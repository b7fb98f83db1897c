"""What a file's bytes, and so a trial, depend on is in a version; where things lie is not."""

import json
import shutil

import pytest

import jscc_sim
from jscc_sim import versions
from jscc_sim.checkpoint import MANIFEST, models_folder
from jscc_sim.cli import main
from jscc_sim.codecs import LEARNED, hevc, vvc
from jscc_sim.codecs.pillow import AVIF, JPEG, JPEG2000, WebP
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec

LEARNED_SYSTEMS = {
    "vae:2": "vae",
    "digits": "digits",
    "generative": "generative",
    "quantised+uep": "quantised",
    "quantised+ldpc": "quantised",
    "gmm+ideal": "gmm",
    "digits+ldpc-abstraction": "digits",
}


@pytest.mark.parametrize("name", LEARNED_SYSTEMS)
def test_a_moved_folder_is_the_same_trial(name, tmp_path):
    released = models_folder() / LEARNED_SYSTEMS[name]
    places = [tmp_path / "here", tmp_path / "there" / "again"]
    for place in places:
        shutil.copytree(released, place)
    found = [Fingerprint.of(SystemSpec(name, str(place)).load()) for place in places]
    assert found[0] == found[1] == Fingerprint.of(SystemSpec(name).load())
    assert len({repr(SystemSpec(name, str(place)).load()) for place in places}) == 1


@pytest.mark.parametrize("name", LEARNED_SYSTEMS)
def test_another_architecture_is_another_trial(name, tmp_path):
    """Of the same weights: they may fit several."""
    shutil.copytree(models_folder() / LEARNED_SYSTEMS[name], tmp_path / "model")
    path = tmp_path / "model" / MANIFEST
    manifest = json.loads(path.read_text())
    before = Fingerprint.of(SystemSpec(name, str(tmp_path / "model")).load())
    path.write_text(json.dumps({**manifest, "summary": "other words"}))
    assert Fingerprint.of(SystemSpec(name, str(tmp_path / "model")).load()) == before
    path.write_text(json.dumps({**manifest, "architecture": {**manifest["architecture"], "more": 1}}))
    assert Fingerprint.of(SystemSpec(name, str(tmp_path / "model")).load()) != before


def altered(codec, change):
    """A codec whose options of some levels are others."""

    class Altered(codec):
        def options(self, height, width, level):
            return {**super().options(height, width, level), **change(height, width, level)}

    return Altered()


@pytest.mark.parametrize(
    ("codec", "change"),
    [
        (JPEG, lambda height, width, level: {"subsampling": "4:4:4"} if level == 100 else {}),
        (JPEG, lambda height, width, level: {"smooth": 1}),
        (JPEG2000, lambda height, width, level: {"quality_layers": [9.0]} if level == 70 else {}),
        (JPEG2000, lambda height, width, level: {"num_resolutions": 1} if min(height, width) < 4 else {}),
        (WebP, lambda height, width, level: {"quality": 33} if level == 99 else {}),
        (AVIF, lambda height, width, level: {"speed": 7} if level == 5 else {}),
    ],
)
def test_every_option_of_every_level_is_in_the_version(codec, change):
    assert codec().version() == codec().version() == altered(codec, lambda *_: {}).version()
    assert altered(codec, change).version() != codec().version()


@pytest.mark.parametrize("codec", [JPEG, JPEG2000, WebP, AVIF])
def test_settings_and_the_number_of_levels_are_in_the_version(codec):
    fewer = type("Fewer", (codec,), {"levels": codec.levels - 1})
    other = type("Other", (codec,), {"settings": {**codec.settings, "xmp": b"x"}})
    assert len({codec().version(), fewer().version(), other().version()}) == 3


@pytest.mark.parametrize("codec", LEARNED.values())
def test_the_levels_of_learned_codecs_are_in_the_version(codec):
    fewer = type("Fewer", (codec,), {"levels": codec.levels - 1})
    other = type("Other", (codec,), {"ladder": "other"})
    assert len({codec().version(), fewer().version(), other().version()}) == 3


@pytest.mark.parametrize(
    ("module", "codec", "name", "value"),
    [
        (hevc, hevc.HEVC, "SETTINGS", {"preset": "slow", "tune": "ssim"}),
        (hevc, hevc.HEVC, "STEPS", hevc.STEPS[1:]),
        (hevc, hevc.HEVC, "COARSEST", 50),
        (hevc, hevc.HEVC, "_SPECIMEN", b"other boxes"),
        (vvc, vvc.VVC, "SETTINGS", ("-preset", "slow", "-qpa", "0")),
        (vvc, vvc.VVC, "COLOUR", "color_matrix=bt601"),
        (vvc, vvc.VVC, "CHROMA", (-5, -6)),
        (vvc, vvc.VVC, "LAMBDAS", vvc.LAMBDAS[::-1]),
        (vvc, vvc.VVC, "_HIGHEST_QP", 62),
        (vvc, vvc.VVC, "_SHORTEST", 64),
    ],
)
def test_settings_of_hevc_and_vvc_are_in_the_version(module, codec, name, value, monkeypatch):
    before = codec().version()
    monkeypatch.setattr(module, name, value)
    assert codec().version() != before


def test_the_version_of_the_package_and_of_a_folder_on_the_path(capsys, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"jscc-sim {jscc_sim.__version__}\n"
    assert versions.version_of("jscc_sim") == jscc_sim.__version__
    assert versions.version_of("no such distribution") == "unknown"
    with pytest.raises(AttributeError, match="'jscc_sim' has no attribute 'nothing'"):
        _ = jscc_sim.nothing
