"""Pruning a network's conditioning: exact where nothing is taken, worse with every unit that is."""

import numpy as np
import pytest
import torch
from prune import main, prune

from jscc_sim.errors import InputError, guarded
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder

TINY = ConvArchitecture(fine=8, coarse=16, encoder_fine=1, encoder_coarse=1, decoder_coarse=1, decoder_fine=1)


@pytest.fixture(scope="module")
def coder():
    torch.manual_seed(0)
    return ConvCoder(TINY).eval()


def test_with_all_units_the_network_is_the_same(coder):
    same, errors = prune(coder, TINY.hidden)
    assert max(errors.values()) < 1e-3
    index, snrs_db = torch.randint(0, 12, (1, 2, 3)), torch.rand(1, 2, 3, 2) * 20
    for before, after in zip(coder.receiver(index, snrs_db), same.receiver(index, snrs_db), strict=True):
        np.testing.assert_allclose(after.detach(), before.detach(), atol=1e-3)


def test_every_unit_counts(coder):
    errors = [prune(coder, hidden)[1] for hidden in (1, 4, 16)]
    for name in ("sender", "receiver"):
        found = [error[name] for error in errors]
        assert found == sorted(found, reverse=True)
        assert found[-1] < 0.5 * found[0]


def test_fewer_weights_and_the_same_use(coder):
    small, _ = prune(coder, 8)
    assert small.architecture.hidden == 8
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in coder.parameters())
    image, index = torch.rand(1, 3, 32, 64), torch.full((1, 1, 2), 5)
    latents = small.encode(image, index, torch.tensor([10.0]))
    assert small.decode(latents, index, torch.full((1, 1, 2, 2), 10.0)).shape == image.shape


@pytest.mark.parametrize("hidden", [0, 65])
def test_a_number_of_units_that_will_not_do(coder, hidden):
    with pytest.raises(InputError, match=f"{hidden} hidden units are outside 1 to the 64 there are"):
        prune(coder, hidden)


@pytest.mark.parametrize(
    ("zoo", "error"),
    [("nowhere", "zoo 'nowhere' is neither one of"), ("linear", "zoo linear has no network")],
)
def test_a_zoo_that_will_not_do(tmp_path, monkeypatch, capsys, zoo, error):
    monkeypatch.setattr("sys.argv", ["prune.py", zoo, str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        guarded(main)
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"prune.py: {error}")
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()
