"""What the header costs: its share of the frame against image size and CBR, and in dB beside a genie's.

    python experiments/side_information.py --images FOLDER --workers 2

The pictures are cut to squares about their centres.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from study import Study, guarded

from jscc_sim.images import read_picture, write_picture
from jscc_sim.plots.curves import overhead_figure, quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

SIDES = (64, 128, 256, 512)
CBRS = ("1/48", "1/24", "1/16", "1/8")
SNR_DB = 10.0


def main() -> None:
    """Run the grid; header shares, what the header costs in dB, and two figures."""
    study = Study(
        "side_information", "The header's share of the frame, and its cost in dB.", zoo="conv-small"
    )
    study.parse()
    sides = SIDES[:3] if study.quick else SIDES
    systems = [SystemSpec("block-jscc", study.zoo, side_info=mode) for mode in ("transmitted", "genie")]
    with tempfile.TemporaryDirectory() as folder:
        pieces = [piece for image in study.images for piece in squares(image, sides, Path(folder))]
        rows = study.rows(Grid(pieces, systems, ["awgn"], [SNR_DB], CBRS))
    own, genie = (rows[rows["side_info"] == mode] for mode in ("transmitted", "genie"))
    share = (own["header_uses"] / own["uses"]).groupby([own["height"], own["cbr_budget"]]).mean()
    print("header's share of the frame\n" + share.unstack().map("{:.2%}".format).to_string())
    place = ["height", "cbr_budget"]
    lost = genie.groupby(place)["psnr_db"].mean() - own.groupby(place)["psnr_db"].mean()
    print("what it costs, dB (where every frame fits)\n" + lost.unstack().round(2).to_string())
    whole = rows[rows["height"] == rows["height"].max()]
    study.publish(rows, {"": overhead_figure(rows), "_genie": quality_figure(whole, "cbr")})


def squares(image: str, sides: tuple[int, ...], folder: Path) -> list[str]:
    """Files with the middle of a picture, for each side that fits into it."""
    picture = read_picture(image)
    paths = []
    for side in sides:
        height, width = picture.shape[:2]
        if min(height, width) >= side:
            top, left = (height - side) // 2, (width - side) // 2
            paths.append(str(folder / f"{Path(image).stem}_{side}.png"))
            write_picture(picture[top : top + side, left : left + side], paths[-1])
    return paths


if __name__ == "__main__":
    guarded(main)
