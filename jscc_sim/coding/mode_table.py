"""SNR in dB that each code needs on AWGN: of experiments/measure_modes.py, do not edit."""

SMALL_BLOCK_DB = 3.55
"""One word of the small block code, wrong once in 10000."""

BLOCK_BITS = (64, 128, 256, 512, 1024, 2048, 3824)

THRESHOLD_DB = {
    0.8888888888888888: (10.69, 10.38, 8.26, 7.38, 7.11, 6.77, 6.73),
    0.6666666666666666: (6.02, 5.14, 4.61, 4.30, 3.72, 3.65, 3.36),
    0.5: (4.07, 3.11, 2.58, 1.89, 1.81, 1.50, 1.49),
    0.3333333333333333: (1.82, 0.82, 0.24, -0.22, -0.92, -1.05, -0.95),
    0.2: (-1.15, -1.80, -2.38, -3.07, -3.39, -3.64, -3.48),
}
"""By rate, for each of BLOCK_BITS: one block in 1000 fails."""
