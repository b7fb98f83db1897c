"""Bits to symbols and back: 5G LDPC, QAM, CRC, a small block code, the ratio map's entropy coder.

numpy in, numpy out.
"""
