"""What tests share: one thread for Sionna, and a cache of compressed files that is not the user's."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("JSCC_SIM_CACHE", str(Path(tempfile.gettempdir()) / "jscc_sim_test_cache"))


if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # `make test &`: the programs under test would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread():
    """Sionna on two threads of a busy machine is five times slower than on one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
