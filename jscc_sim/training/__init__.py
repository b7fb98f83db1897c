"""Training and calibration. Works with torch, numpy, numba, pillow, tqdm and safetensors alone."""
