"""Picture quality: metrics by name, and those of one reception together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.metrics.base import Metric, check_column
from jscc_sim.metrics.colour import CIEDE2000
from jscc_sim.metrics.error import PSNR, block_errors, mean_squared_error, psnr_between, psnr_of_mse
from jscc_sim.metrics.gradient import GMSD
from jscc_sim.metrics.structural import MSSSIM, SSIM
from jscc_sim.plugins import load_plugin, plugin_name

__all__ = [
    "CIEDE2000",
    "DEFAULT",
    "GMSD",
    "GROUP",
    "METRICS",
    "MSSSIM",
    "PSNR",
    "SSIM",
    "Metric",
    "Quality",
    "block_errors",
    "load_metric",
    "load_metrics",
    "mean_squared_error",
    "measure",
    "metric_name",
    "named",
    "psnr_between",
    "psnr_of_mse",
]

METRICS: Mapping[str, type[Metric]] = {
    "psnr": PSNR,
    "ssim": SSIM,
    "ms-ssim": MSSSIM,
    "gmsd": GMSD,
    "ciede2000": CIEDE2000,
}
"""Names on the command line."""

DEFAULT = (PSNR(), SSIM(), MSSSIM())
"""What is measured unless something else is asked for."""

GROUP = "jscc_sim.metrics"
"""Of the entry points by which installed packages add theirs."""


@dataclass(frozen=True)
class Quality:
    """Of one reception. mse: over all RGB samples; values: of each metric by its column, None where it is not
    defined."""

    mse: float
    values: Mapping[str, float | None]

    @property
    def psnr_db(self) -> float | None:
        """See `PSNR`; None for an mse of 0."""
        return psnr_of_mse(self.mse)

    @property
    def ssim(self) -> float | None:
        """See `SSIM`; None if it was not asked for, too."""
        return self.values.get(SSIM.column)

    @property
    def ms_ssim(self) -> float | None:
        """See `MSSSIM`; None if it was not asked for, too."""
        return self.values.get(MSSSIM.column)


def measure(picture: Picture, reference: Picture, metrics: Sequence[Metric] = DEFAULT) -> Quality:
    """Quality of a reception. picture, reference: [H, W, 3] uint8. Raises InputError, see `Metric`."""
    values = {metric.column: metric(picture, reference) for metric in metrics}
    return Quality(mean_squared_error(picture, reference), values)


def load_metric(spec: str | Metric) -> Metric:
    """A metric from NAME, package.module:Class or file.py:Class, with :key=value,... or without; or an
    instance, by value or as it is.

    Raises InputError, see `load_plugin`, and for one without a usable column.
    """
    metric = load_plugin(spec, METRICS, Metric, GROUP)
    check_column(metric)
    return metric


def metric_name(metric: Metric) -> str:
    """The text that `load_metric` makes the same metric of, or else the metric by value."""
    return plugin_name(metric, METRICS)


def named(specs: str) -> list[str]:
    """The specs in text with commas, see `load_metrics`."""
    return [spec.strip() for spec in re.split(r",(?![^,:]*=)", specs)]


def load_metrics(specs: str | Sequence[str | Metric]) -> tuple[Metric, ...]:
    """Metrics from a list, or from text with commas: `psnr,gmsd,mine.py:Mine:size=3,depth=2` is three.

    Raises InputError, also for two of one column.
    """
    metrics = tuple(load_metric(spec) for spec in (named(specs) if isinstance(specs, str) else specs))
    columns = [metric.column for metric in metrics]
    for metric in metrics:
        if columns.count(metric.column) > 1:
            raise InputError(f"metrics: column {metric.column} is there twice")
    return metrics
