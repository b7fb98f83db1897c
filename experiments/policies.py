"""All policies side by side, random and the oracle as the ends: gain over uniform's lower envelope.

    python experiments/policies.py --images FOLDER --workers 2 [--policy my_policy.py:MyPolicy]

On `conv-small` by default: the oracle sends every picture some 400 times.
"""

from __future__ import annotations

from study import Study, guarded, means

from jscc_sim.allocation import POLICIES
from jscc_sim.plots.curves import gain_figure, quality_figure
from jscc_sim.plots.gains import with_gains
from jscc_sim.statistics import interval
from jscc_sim.sweeps import Grid, SystemSpec

SNR_DB, CBR = 10.0, "1/16"
ENVELOPE = ("1/24", "1/16", "1/12")
SLOW = ("encoder-in-the-loop", "oracle")


def main() -> None:
    """Run the grids; gains with intervals, and two figures."""
    study = Study("policies", "All policies, gain over uniform's lower envelope.", zoo="conv-small")
    study.parser.add_argument("--policy", action="append", default=[], help="one of your own, too")
    options = study.parse()
    names = [name for name in POLICIES if not (study.quick and name in SLOW)] + options.policy

    def grid(policies: list[str], cbrs: tuple[str, ...]) -> Grid:
        systems = [SystemSpec("block-jscc", study.zoo, policy) for policy in policies]
        return Grid(study.images, systems, ["awgn"], [SNR_DB], cbrs)

    rows = study.rows(grid(["uniform"], ENVELOPE), grid(names, (CBR,)))
    print(means(rows, ["policy"], "cbr_fraction"), "\n")
    for policy, group in with_gains(rows).groupby("policy", sort=False):
        found = interval(group["gain_db"])
        print(f"{policy:<20} {found.text(2, '+')} dB over uniform, {found.count} images")
    study.publish(rows, {"": quality_figure(rows, "cbr"), "_gain": gain_figure(rows, "cbr")})


if __name__ == "__main__":
    guarded(main)
