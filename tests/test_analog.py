"""What analog links share: power, order, header, budget; and whose frames a receiver takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from processes import photograph

from jscc_sim.channels import AWGN, LEAST_VARIANCE, Equalised, EqualisedReals, Fading, Received, symbols_of
from jscc_sim.coding.interleaving import places
from jscc_sim.coding.protection import Protection, protected_uses
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError
from jscc_sim.header import FrameHeader, encode_header, header_bits, quantise_gain
from jscc_sim.systems.analog import AnalogLink, Payload
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.payload import read_fields, write_fields
from jscc_sim.testing import SystemContract
from jscc_sim.zoo import load_zoo

PICTURE = photograph(48, 64)


@dataclass(frozen=True)
class Side:
    """How many pixels square one mean is sent of."""

    height: int
    width: int
    side: int

    @property
    def uses(self):
        return -(-math.prod(self.grid) * 3 // 2)

    @property
    def grid(self):
        return -(-self.height // self.side), -(-self.width // self.side)

    def bits(self):
        return write_fields([self.side], [8])


@dataclass(frozen=True)
class Thumbnail(AnalogLink[Side]):
    """A small picture, pixel by pixel. more: symbols than the header says."""

    name: ClassVar[str] = "thumbnail"
    system_id: ClassVar[int] = 0x7A7A
    own_bits: ClassVar[int] = 8

    side: int = 8
    header_margin_db: float | None = None
    more: int = 0

    def least_uses(self, height, width):
        return Side(height, width, self.side).uses

    def payload(self, picture, request, watch):
        self.room(request)
        fields = Side(request.height, request.width, self.side)
        small = picture[:: self.side, :: self.side].reshape(-1) / 64.0
        symbols = symbols_of(np.pad(small, (0, len(small) % 2)))
        return Payload(np.pad(symbols, (0, self.more)), fields)

    def fields(self, header):
        (side,) = read_fields(header.fields, [8])
        if side == 0:
            raise ImpossibleFrameError("impossible header: pixels of no size")
        return Side(header.height, header.width, side)

    def picture(self, heard, header, fields, watch):
        reals = EqualisedReals.of(heard, header.gain)
        rows, columns = fields.grid
        values = 64 * np.divide(reals.values, reals.gain, where=reals.gain > 0, out=np.zeros_like(reals.gain))
        small = np.clip(np.rint(values[: 3 * rows * columns]), 0, 255).astype(np.uint8)
        whole = np.kron(small.reshape(rows, columns, 3), np.ones((fields.side, fields.side, 1), np.uint8))
        return whole[: header.height, : header.width]


class TestThumbnail(SystemContract):
    system = Thumbnail()


@pytest.mark.parametrize("size", [(48, 64), (47, 61), (1, 1)])
def test_a_frame_is_header_and_payload_of_unit_power_in_the_golden_order(size):
    picture = PICTURE[: size[0], : size[1]]
    frame = Thumbnail(header_margin_db=0.0).encode(picture, 2000, AWGN(10.0))
    fields = Side(*size, 8)
    bits = header_bits(*size, 8)
    assert frame.header_uses == Protection(10.0, 0, 0.0).uses(bits)
    payload = frame.symbols[frame.header_uses :]
    assert len(payload) == fields.uses
    assert np.mean(np.abs(payload.astype(complex)) ** 2) == pytest.approx(1, abs=1e-5)
    sent = picture[::8, ::8].reshape(-1) / 64.0
    sent = symbols_of(np.pad(sent, (0, len(sent) % 2)))
    gain = 1 / np.sqrt(np.mean(np.abs(sent) ** 2))
    np.testing.assert_allclose(payload[places(fields.uses)], gain * sent, rtol=1e-5)
    assert frame.header.gain == quantise_gain(float(gain))


def test_a_receiver_is_given_the_payload_in_its_own_order():
    """Under fading that differs from use to use, the gain and noise are those of the use."""
    link, channel = Thumbnail(), Fading(40.0, 20.0, 16)
    sent = link.transmit(PICTURE, channel, 2000, np.random.default_rng(0))
    expected = np.kron(PICTURE[::8, ::8], np.ones((8, 8, 1), np.uint8))
    assert np.abs(sent.picture.astype(int) - expected).mean() < 5
    close = link.transmit(PICTURE, AWGN(60.0), 2000, np.random.default_rng(0)).picture
    assert np.abs(close.astype(int) - expected).max() <= 2, "but for the gain's 0.2 %"


def test_a_budget_too_small_by_one():
    link = Thumbnail(header_margin_db=0.0)
    front = Protection(10.0, 0, 0.0).uses(header_bits(48, 64, 8))
    needed = front + 72
    assert len(link.encode(PICTURE, needed, AWGN(10.0)).symbols) == needed
    message = (
        f"budget of {needed - 1} uses is below the {needed} uses that thumbnail needs for 48x64 pixels, "
        f"{front} of them for the header"
    )
    for act in (link.encode, link.check_fits):
        with pytest.raises(BudgetError, match=message):
            act(PICTURE, needed - 1, AWGN(10.0))


def test_the_margin_leaves_what_the_payload_needs():
    """A margin is taken as far as the budget goes, and no further."""
    bare = Protection(10.0, 0, 0.0).uses(header_bits(48, 64, 8))
    found = [len(Thumbnail().encode(PICTURE, bare + 72 + more, AWGN(10.0)).symbols) for more in (0, 10**4)]
    assert found[0] == bare + 72 < found[1]


@pytest.mark.parametrize("name", ["thumbnail", "vae:2", "quantised+uep", "softcast", "jpeg+ldpc"])
def test_a_frame_tells_what_its_header_was_made_for(name, one_thread):
    """As many uses as a header for just that SNR takes. The digital chains' have no margin."""
    frame = link_of(name).encode(PICTURE, 3000, AWGN(10.0))
    assert (frame.header_snr_db == 10) == (name == "jpeg+ldpc")
    if frame.header is not None:
        bits = header_bits(48, 64, len(frame.header.fields))
        assert frame.header_uses == protected_uses(bits, frame.header_snr_db)
    sent = link_of(name).transmit(PICTURE, AWGN(10.0), 3000, np.random.default_rng(0))
    assert sent.header_snr_db == frame.header_snr_db


def test_a_bound_has_no_header(one_thread):
    for name, made_for in (("jpeg+ideal", None), ("jpeg+ldpc-abstraction", 10.0)):
        sent = link_of(name).transmit(PICTURE, AWGN(10.0), 3000, np.random.default_rng(0))
        assert sent.header_snr_db == made_for


def test_a_payload_that_is_not_what_the_header_says():
    with pytest.raises(InputError, match="thumbnail: payload of 75 uses, where the header says 72"):
        Thumbnail(more=3).encode(PICTURE, 2000, AWGN(10.0))


def test_more_than_the_budget():
    @dataclass(frozen=True)
    class Spendthrift(Thumbnail):
        def room(self, request):
            return 10**6

    with pytest.raises(BudgetError, match=r"frame of \d+ uses exceeds its budget of 80 uses"):
        Spendthrift().encode(PICTURE, 80, AWGN(10.0))


@pytest.mark.parametrize("size", [(1, 65536), (65536, 1)])
def test_a_side_that_no_header_holds(size):
    for act in (Thumbnail().encode, Thumbnail().check_fits):
        with pytest.raises(InputError, match="of 65536 pixels is outside 1 to 65535"):
            act(np.zeros((*size, 3), np.uint8), 10**6, AWGN(10.0))


def test_what_a_receiver_refuses():
    frame = Thumbnail().encode(PICTURE, 2000, AWGN(10.0))
    for cut, error in ((-1, "payload of 72 uses, 71 arrived"), (-72, "payload of 72 uses, 0 arrived")):
        with pytest.raises(ImpossibleFrameError, match=error):
            Thumbnail().decode(Received(frame.symbols[:cut], 0.01))
    for fields, error in (
        (write_fields([0], [8]), "pixels of no size"),
        (write_fields([1], [8]), "payload of 4608 uses"),
    ):
        forged = FrameHeader(48, 64, 0x7A7A, 1.0, 10.0, fields)
        symbols = np.concatenate([encode_header(forged, Protection(10.0, 0)), np.zeros(72, np.complex64)])
        with pytest.raises(ImpossibleFrameError, match=error):
            Thumbnail().decode(Received(symbols, 0.01))


LINKS = {
    "softcast": "softcast",
    "vae:2": "the weights of vae",
    "digits": "the weights of digits",
    "quantised+uep": "the weights of quantised",
    "block-jscc": "zoo conv-small",
    "generative": "zoo linear",
    "thumbnail": "unknown weights",
}
"""What their frames are of."""


def link_of(name):
    if name == "block-jscc":
        return BlockJSCC(load_zoo("conv-small").alone())
    return Thumbnail() if name == "thumbnail" else load_baseline(name)


def test_a_receiver_says_whose_frame_it_has_met(one_thread):
    made = {name: link_of(name).encode(PICTURE, 3000, AWGN(10.0)) for name in LINKS}
    for name in LINKS:
        for maker, frame in made.items():
            received = Received(frame.symbols, 0.01)
            if maker == name:
                assert link_of(name).decode(received).picture.shape == PICTURE.shape
                continue
            with pytest.raises(ImpossibleFrameError) as refused:
                link_of(name).decode(received)
            assert str(refused.value).startswith(f"the frame is of {LINKS[maker]} ("), (name, maker)


def test_reals_of_uses():
    heard = Equalised(np.array([1 + 2j, 3 - 4j], np.complex64), np.array([0.5, 0.0]), np.array([0.2, 0.0]))
    reals = EqualisedReals.of(heard, 3.0)
    assert reals.values.tolist() == [1, 2, 3, -4]
    np.testing.assert_allclose(reals.gain, [1.5, 1.5, 0, 0])
    np.testing.assert_allclose(reals.noise_variance, [0.1, 0.1, LEAST_VARIANCE / 2, LEAST_VARIANCE / 2])
