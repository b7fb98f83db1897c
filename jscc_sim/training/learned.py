"""What can be trained besides block JSCC: a task for each learned system."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jscc_sim.training.task import Task

LEARNED = {
    "digits": "DigitTask",
    "gmm": "MixtureTask",
    "generative": "GenerativeTask",
    "quantised": "QuantisedTask",
    "vae": "VAELinkTask",
}
"""System: class of its task, in its folder of `learned`. Loaded by name, so that the command line need not
load torch."""

WITHOUT_PICTURES = ("digits",)
"""Systems that bring their own training material."""


def learned_task(system: str) -> Task[Any]:
    """The task of a system, with the architecture of its released weights."""
    module = importlib.import_module(f"jscc_sim.learned.{system}.task")
    return getattr(module, LEARNED[system])()  # type: ignore[no-any-return]
