"""Send real images over noisy radio channels, with bandwidth where the picture needs it.

What stands in `__all__` is loaded when it is asked for: `import jscc_sim` takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "jscc_sim.api": (
        *("Sent", "calibrate", "load", "list_channels", "list_codecs", "list_metrics", "list_policies"),
        *("list_systems", "list_waveforms", "list_zoos", "plot", "report", "sweep", "train", "transmit"),
    ),
    "jscc_sim.allocation": ("AllocationPolicy", "BlockStatistics", "fit_to_budget"),
    "jscc_sim.channels": ("AWGN", "Channel", "Fading", "Received"),
    "jscc_sim.codecs": ("Codec",),
    "jscc_sim.complexity": ("ComplexityEstimator",),
    "jscc_sim.errors": ("BudgetError", "InputError", "JsccError", "OutageError"),
    "jscc_sim.images": ("read_picture", "write_picture"),
    "jscc_sim.metrics": ("Metric",),
    "jscc_sim.systems.base": ("LinkSystem", "System"),
    "jscc_sim.systems.spec": ("SystemSpec",),
    "jscc_sim.systems.torch_link": ("TorchLink",),
    "jscc_sim.units": ("RatioSet",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AWGN",
    "AllocationPolicy",
    "BlockStatistics",
    "BudgetError",
    "Channel",
    "Codec",
    "ComplexityEstimator",
    "Fading",
    "InputError",
    "JsccError",
    "LinkSystem",
    "Metric",
    "OutageError",
    "RatioSet",
    "Received",
    "Sent",
    "System",
    "SystemSpec",
    "TorchLink",
    "__version__",
    "calibrate",
    "fit_to_budget",
    "list_channels",
    "list_codecs",
    "list_metrics",
    "list_policies",
    "list_systems",
    "list_waveforms",
    "list_zoos",
    "load",
    "plot",
    "read_picture",
    "report",
    "sweep",
    "train",
    "transmit",
    "write_picture",
]

if TYPE_CHECKING:
    from jscc_sim.allocation import AllocationPolicy, BlockStatistics, fit_to_budget
    from jscc_sim.api import (
        Sent,
        calibrate,
        list_channels,
        list_codecs,
        list_metrics,
        list_policies,
        list_systems,
        list_waveforms,
        list_zoos,
        load,
        plot,
        report,
        sweep,
        train,
        transmit,
    )
    from jscc_sim.channels import AWGN, Channel, Fading, Received
    from jscc_sim.codecs import Codec
    from jscc_sim.complexity import ComplexityEstimator
    from jscc_sim.errors import BudgetError, InputError, JsccError, OutageError
    from jscc_sim.images import read_picture, write_picture
    from jscc_sim.metrics import Metric
    from jscc_sim.systems.base import LinkSystem, System
    from jscc_sim.systems.spec import SystemSpec
    from jscc_sim.systems.torch_link import TorchLink
    from jscc_sim.units import RatioSet

    __version__: str


def __getattr__(name: str) -> Any:
    """What is asked for, from where it is defined."""
    from importlib import import_module

    if name == "__version__":
        from jscc_sim.versions import version_of

        return version_of("jscc_sim")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
