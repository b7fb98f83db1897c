"""Read and write pictures: any common file becomes an [H, W, 3] uint8 array in sRGB."""

from jscc_sim.files import write_whole
from jscc_sim.images.base import BUILTIN, Picture, pixel_limit
from jscc_sim.images.folders import list_pictures, picture_suffixes
from jscc_sim.images.reading import read_picture
from jscc_sim.images.writing import OUTPUT_SUFFIXES, check_output_suffix, write_picture

__all__ = [
    "BUILTIN",
    "OUTPUT_SUFFIXES",
    "Picture",
    "check_output_suffix",
    "list_pictures",
    "picture_suffixes",
    "pixel_limit",
    "read_picture",
    "write_picture",
    "write_whole",
]
