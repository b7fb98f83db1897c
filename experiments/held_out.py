"""What the experiments on validation pictures share: their options, and the pictures."""

from __future__ import annotations

import argparse

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.training.data import load, split_folder
from jscc_sim.zoo import DEFAULT_ZOO


def held_out_parser(about: str | None, pictures: int) -> argparse.ArgumentParser:
    """The options FOLDER, --zoo and --pictures. about: a docstring, of which the first line is shown."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    parser.add_argument("folder", metavar="FOLDER", help="training images; their held-out share is used")
    parser.add_argument("--zoo", default=DEFAULT_ZOO, help=f"({DEFAULT_ZOO})")
    parser.add_argument("--pictures", type=int, default=pictures, help=f"how many ({pictures})")
    return parser


def held_out_pictures(arguments: argparse.Namespace) -> list[Picture]:
    """As many of the folder's held-out pictures, evenly spread over their names. Raises InputError."""
    if arguments.pictures < 1:
        raise InputError(f"--pictures {arguments.pictures} is below 1")
    names = split_folder(arguments.folder).validation
    step = max(1, len(names) // arguments.pictures)
    return load(names[::step][: arguments.pictures])
