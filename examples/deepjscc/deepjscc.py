"""DeepJSCC, five convolutions at either end, as a system: `--system examples/deepjscc/deepjscc.py:DeepJSCC`.

After Bourtsoulatze, Kurka & Gündüz, Deep Joint Source-Channel Coding for Wireless Image Transmission, 2019,
for pictures of any size. `train.py` beside this file makes the weights.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from jscc_sim.nn.loading import load_weights
from jscc_sim.systems.torch_link import TorchLink

WEIGHTS = Path(__file__).with_name("deepjscc.safetensors")


def down(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 5x5 and its activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, stride, 2), nn.PReLU(outputs))


def up(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """The reverse."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 5, stride, 2, output_padding=stride - 1), nn.PReLU(outputs)
    )


class Network(nn.Module):
    """Images [B, 3, H, W] in 0 to 1 to latents [B, channels, H/4, W/4] and back: channels/2 complex uses for
    16 pixels, a CBR of channels/96."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            down(3, 16, 2), down(16, 32, 2), down(32, 32), down(32, 32), nn.Conv2d(32, channels, 5, 1, 2)
        )
        self.decoder = nn.Sequential(up(channels, 32), up(32, 32), up(32, 32), up(32, 16, 2), up(16, 3, 2))

    def encode(self, images: Tensor) -> Tensor:
        """Latents of any power: the link brings a picture's to 1 and back, and so does training."""
        return self.encoder(2 * images - 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Of latents as they arrived."""
        return self.decoder(latents).sigmoid()


@dataclass(frozen=True)
class DeepJSCC(TorchLink):
    """Four uses for 16 pixels: CBR 1/12 and the header."""

    multiple: int = 4

    def networks(self):
        """See TorchLink.networks."""
        network = load_weights(Network(), WEIGHTS)
        return network.encode, network.decode
