"""Files that the tests compress stay out of the user's cache."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("JSCC_SIM_CACHE", str(Path(tempfile.gettempdir()) / "jscc_sim_test_cache"))
