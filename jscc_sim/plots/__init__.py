"""Figures: arrays and tables in, Matplotlib figures out. Nothing here knows torch.

Here is what takes pictures; what takes tables of results, and with them pandas, is in `plots.curves`.
"""

from jscc_sim.plots.pictures import Reconstruction, allocation_figure, comparison_sheet, reception_figure
from jscc_sim.plots.style import WIDTHS, check_figure_path, save_figure

__all__ = [
    "WIDTHS",
    "Reconstruction",
    "allocation_figure",
    "check_figure_path",
    "comparison_sheet",
    "reception_figure",
    "save_figure",
]
