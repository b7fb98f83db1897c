"""The learned codecs and receivers, each beside what it must beat: a section for each of them.

python experiments/learned_codecs.py --images FOLDER --workers 2
"""

from __future__ import annotations

import learned_digits
import learned_generative
import learned_gmm
import learned_quantised
import learned_vae
from study import Study, guarded

SECTIONS = {
    "gmm": learned_gmm.make,
    "quantised": learned_quantised.make,
    "digits": learned_digits.make,
    "generative": learned_generative.make,
    "vae": learned_vae.make,
}


def main() -> None:
    """Run the sections asked for; each writes its table, what it comes to, and its figure."""
    study = Study("learned_codecs", "Learned codecs and receivers.")
    study.parser.add_argument("--only", choices=SECTIONS, help="one section")
    options = study.parse()
    for name, make in SECTIONS.items():
        if options.only in (None, name):
            print(f"--- {name}")
            make(study)


if __name__ == "__main__":
    guarded(main)
