"""Of blocks [N, 32, 32, 3] uint8: what complexity estimators measure."""

from __future__ import annotations

import numpy as np

from jscc_sim._kernels.compiled import Bytes, Floats, njit, parallel, prange

_ORDER = np.arange(8)
_DCT = np.sqrt(np.where(_ORDER == 0, 1, 2) / 8)[:, None] * np.cos(
    np.pi / 8 * _ORDER[:, None] * (_ORDER + 0.5)
)  # [frequency, sample], orthonormal DCT-II
_BAND = np.digitize(_ORDER[:, None] + _ORDER, (1, 3, 6, 10))  # 0: DC; 1 to 4: u + v up to 2, 5, 9, 14
_COEFFICIENTS = 16 * np.bincount(_BAND.ravel())  # of each band in a block


# Loops where NumPy expressions would read as well: they compile five times as fast. A plane is [1024], its
# rows of 32 one after the other: one loop over it is vector code, two nested ones are not.


@njit()
def _luma(block: Bytes) -> Floats:
    """[1024] BT.601 luma."""
    samples = block.reshape(3072)
    out = np.empty(1024)
    for i in range(1024):
        out[i] = 0.299 * samples[3 * i] + 0.587 * samples[3 * i + 1] + 0.114 * samples[3 * i + 2]
    return out


@njit()
def _beyond_luma(block: Bytes, luma: Floats, channel: int) -> Floats:
    """[1024] BT.601 chroma but for its scale: 1.772 times Cb of channel 2, 1.402 times Cr of channel 0."""
    samples = block.reshape(3072)
    out = np.empty(1024)
    for i in range(1024):
        out[i] = samples[3 * i + channel] - luma[i]
    return out


@njit()
def _variance(plane: Floats) -> float:
    mean = 0.0
    for i in range(len(plane)):
        mean += plane[i]
    mean /= len(plane)
    variance = 0.0
    for i in range(len(plane)):
        variance += (plane[i] - mean) ** 2
    return variance / len(plane)


@njit()
def _squared_gradient(luma: Floats) -> float:
    total = 0.0
    for row in range(0, 1024, 32):
        for i in range(row, row + 31):
            total += (luma[i + 1] - luma[i]) ** 2
    for i in range(1024 - 32):
        total += (luma[i + 32] - luma[i]) ** 2
    return total / (32 * 31)


@njit()
def _dct_down(plane: Floats) -> Floats:
    """[1024] DCTs of each column's runs of 8 samples, transposed. Frequencies are even or odd, so that sums
    and differences of opposite samples halve the work."""
    out = np.empty(1024)
    turned = np.empty((8, 32))
    for top in range(0, 1024, 256):
        a = plane[top : top + 256]
        for x in range(32):
            s0, d0 = a[x] + a[x + 224], a[x] - a[x + 224]
            s1, d1 = a[x + 32] + a[x + 192], a[x + 32] - a[x + 192]
            s2, d2 = a[x + 64] + a[x + 160], a[x + 64] - a[x + 160]
            s3, d3 = a[x + 96] + a[x + 128], a[x + 96] - a[x + 128]
            for u in range(0, 8, 2):
                turned[u, x] = _DCT[u, 0] * s0 + _DCT[u, 1] * s1 + _DCT[u, 2] * s2 + _DCT[u, 3] * s3
            for u in range(1, 8, 2):
                turned[u, x] = _DCT[u, 0] * d0 + _DCT[u, 1] * d1 + _DCT[u, 2] * d2 + _DCT[u, 3] * d3
        for x in range(32):
            for u in range(8):
                out[32 * x + top // 32 + u] = turned[u, x]
    return out


@njit()
def _dct(luma: Floats) -> Floats:
    """[1024] the orthonormal 8x8 DCTs, each in its place."""
    return _dct_down(_dct_down(luma))


@njit()
def _activity(spectrum: Floats) -> float:
    """Mean absolute AC coefficient."""
    total = 0.0
    for i in range(1024):
        total += abs(spectrum[i])
    for y in range(0, 1024, 256):
        for x in range(0, 32, 8):
            total -= abs(spectrum[y + x])
    return max(total, 0.0) / (16 * 63)


@njit()
def _fill_features(block: Bytes, out: Floats) -> None:
    """The features of one block, before the logarithm."""
    luma = _luma(block)
    spectrum = _dct(luma)
    energy = np.zeros(256)  # of each coefficient of an 8x8 DCT, four across
    means = np.empty(16)
    for top in range(4):
        tiles = spectrum[256 * top : 256 * top + 256]
        for i in range(256):
            energy[i] += tiles[i] ** 2
        for x in range(4):
            means[4 * top + x] = tiles[8 * x] / 8
    bands = np.zeros(5)
    for i in range(256):
        bands[_BAND[i // 32, i % 8]] += energy[i]
    out[0] = _variance(luma)
    out[1] = _squared_gradient(luma)
    for band in range(1, 5):
        out[1 + band] = bands[band] / _COEFFICIENTS[band]
    out[6] = _variance(_beyond_luma(block, luma, 2)) / 1.772**2
    out[6] += _variance(_beyond_luma(block, luma, 0)) / 1.402**2
    out[7] = _variance(means)


@parallel
def luma_variance(blocks: Bytes) -> Floats:
    """[N] variance of the luma."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _variance(_luma(blocks[b]))
    return out


@parallel
def squared_gradient(blocks: Bytes) -> Floats:
    """[N] mean squared luma difference of neighbours: across plus down."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _squared_gradient(_luma(blocks[b]))
    return out


@parallel
def dct_activity(blocks: Bytes) -> Floats:
    """[N] mean absolute AC coefficient of the 8x8 luma DCTs."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _activity(_dct(_luma(blocks[b])))
    return out


@parallel
def features(blocks: Bytes) -> Floats:
    """[N, 8] the features that complexity.FEATURES names, before the logarithm."""
    out = np.empty((len(blocks), 8))
    for b in prange(len(blocks)):
        _fill_features(blocks[b], out[b])
    return out
