"""All compiled code: arrays in, arrays out, nothing checked. The public functions above it validate.

N is the number of blocks, R of ratios. With NUMBA_DISABLE_JIT=1 all of it runs as plain Python.
"""
