"""Imports point to lower layers, and training needs few packages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

import jscc_sim

PACKAGE = Path(jscc_sim.__file__).parent

LAYERS = (
    ("errors",),
    ("files",),  # of layer 0 too: what it writes is anybody's
    ("units", "_kernels", "plugins", "spreadsheets", "inference", "versions"),
    ("images",),  # of layer 1, but the first of it: a picture is what blocks and metrics take
    ("blocks", "complexity", "channels", "metrics", "statistics", "prediction", "checkpoint"),
    ("allocation", "nn", "coding"),
    ("zoo", "codecs", "waveforms"),
    ("header", "recording"),
    ("systems",),
    ("training", "testing", "sweeps"),
    ("plots", "listings"),
    ("reports",),  # of layer 7 too, but the last of it: a page is made of figures
    ("cli",),
    ("api",),  # of layer 8 too: trainings are run as the command line runs them
    ("demo",),  # of layer 8 too: a page that stands on api
    ("__main__",),  # of layer 8 too: all it does is call cli
)
LAYER_OF = {unit: number for number, units in enumerate(LAYERS) for unit in units}

LEARNED = {
    **dict.fromkeys(("network", "exact", "gdn", "patch_klt", "search"), "nn"),
    "codec": "codecs",
    "link": "systems",
    **dict.fromkeys(("task", "data"), "training"),
}
"""A folder of `learned` is one idea through several layers. Each of its files is of the unit of its kind."""


def unit_of(module):
    """A unit is a file or a folder; but for the folders of `learned`, whose files are each of another unit.
    module: its names below the package's. None for what is of no unit: the package itself, and folders of
    `learned`, which hold nothing but a line that says what they are."""
    if not module or module[0] == "__init__":
        return None
    if module[0] == "learned":
        return LEARNED[module[2]] if len(module) > 2 and module[2] != "__init__" else None
    return module[0]


def sources():
    """(unit, path) of all that is of one."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if unit := unit_of(path.relative_to(PACKAGE).with_suffix("").parts):
            yield unit, path


def imported_units(source):
    """Units of the package that a source imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not in use here"
            module = node.module or ""
            whole = re.fullmatch(r"jscc_sim(\.learned(\.\w+)?)?", module)
            names = [f"{module}.{alias.name}" for alias in node.names] if whole else [module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found = (unit_of(name.split(".")[1:]) for name in names if name.startswith("jscc_sim."))
        yield from filter(None, found)


def upward(unit, source):
    """Units that `unit` must not import, and does."""
    return sorted(
        {other for other in imported_units(source) if other != unit and LAYER_OF[other] >= LAYER_OF[unit]}
    )


def test_every_unit_has_a_layer():
    assert {unit for unit, _ in sources()} <= LAYER_OF.keys()


@pytest.mark.parametrize(("unit", "path"), list(sources()), ids=lambda x: str(x).split("jscc_sim/")[-1])
def test_imports_point_to_lower_layers(unit, path):
    assert upward(unit, path.read_text()) == []


@pytest.mark.parametrize(
    ("unit", "source", "found"),
    [
        ("units", "from jscc_sim.errors import InputError", []),
        ("errors", "from jscc_sim.units import BLOCK", ["units"]),
        ("plugins", "import jscc_sim.units", ["units"]),
        ("channels", "def f():\n    from jscc_sim import metrics, units", ["metrics"]),
        ("nn", "from jscc_sim.nn.bank import Bank\nfrom jscc_sim.coding import crc", ["coding"]),
        ("nn", "import numpy, jscc_sim.systems.base as b", ["systems"]),
        ("metrics", "from jscc_sim.images import Picture", []),
        ("nn", "from jscc_sim.learned.gmm.network import MixtureCoder", []),
        ("nn", "from jscc_sim.learned.gmm import network, codec", ["codecs"]),
        ("codecs", "import jscc_sim.learned.vae.link as link", ["systems"]),
        ("systems", "from jscc_sim.learned.vae.task import VAELinkTask", ["training"]),
        ("images", "from jscc_sim.blocks import BlockGrid", ["blocks"]),
    ],
)
def test_the_check_finds_what_it_should(unit, source, found):
    assert upward(unit, source) == found


def test_nothing_unpickles_a_file():
    """Pickles travel from a runner to its own workers, and are made and read in one module."""
    reading = re.compile(
        r"pickle\.(load|loads|Unpickler)\b|import .*\b(loads|Unpickler)\b.*|joblib|shelve|dill"
    )
    users = {str(path.relative_to(PACKAGE)) for _, path in sources() if reading.search(path.read_text())}
    assert users == {"plugins/by_value.py"}
    assert "open(" not in (PACKAGE / "plugins/by_value.py").read_text()
    loads = [path for _, path in sources() if re.search(r"torch\.load\(", path.read_text())]
    assert all("weights_only=True" in path.read_text() for path in loads)


def test_folders_of_learned_are_apart():
    """Each is read by itself, and says in one line what it is."""
    folder = PACKAGE / "learned"
    for path in folder.rglob("*.py"):
        own = path.relative_to(folder).parts[0]
        others = re.findall(r"jscc_sim\.learned\.(\w+)", path.read_text())
        assert set(others) <= {own}, path
        if path.name == "__init__.py":
            (line,) = ast.parse(path.read_text()).body
            assert isinstance(line, ast.Expr)


# --- packages -------------------------------------------------------------------------------------


def with_what_they_need(names):
    """Distributions and, in turn, all that they require (extras aside, markers not evaluated)."""
    found, todo = set(), list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        todo += [re.match(r"[\w.-]+", line)[0] for line in needed if "extra ==" not in line]
    return found


def blocked_modules(allowed):
    """Top-level modules of every other installed distribution."""
    allowed = with_what_they_need(allowed) | {"jscc-sim"}
    return {
        module
        for module, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & allowed
    }


BLOCKING_IMPORT = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked")

BLOCKED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocker())
before = BLOCKED & set(sys.modules)  # by a .pth file of the environment
failed = {}
for package in sys.argv[2:]:
    folder = importlib.import_module(package)
    for module in pkgutil.walk_packages(folder.__path__, package + "."):
        if module.name.rpartition(".")[2] in ("codec", "link"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            failed[module.name] = str(error)
assert before == BLOCKED & set(sys.modules)
print("\\n".join(f"{name}: {why}" for name, why in failed.items()))
"""


def failed_imports(allowed, *packages):
    """Modules of the packages that cannot be imported with these distributions alone."""
    command = [sys.executable, "-c", BLOCKING_IMPORT, ",".join(sorted(blocked_modules(allowed))), *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


FEW = ("torch", "numpy", "numba", "pillow", "tqdm", "safetensors")


def test_training_needs_few_packages():
    """Networks and tasks of learned systems too; files and frames are no part of it."""
    assert failed_imports(FEW, "jscc_sim.training", "jscc_sim.nn", "jscc_sim.learned") == []


def test_the_blocker_blocks():
    failed = failed_imports(("numpy",), "jscc_sim.nn")
    assert any("torch is blocked" in line for line in failed)


def test_commands_start_without_torch_and_sionna():
    """What checks arguments must not wait for them."""
    code = (
        "import sys, jscc_sim.zoo, jscc_sim.header, jscc_sim.recording, jscc_sim.allocation;"
        "sys.exit(','.join({'torch', 'sionna', 'matplotlib', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
