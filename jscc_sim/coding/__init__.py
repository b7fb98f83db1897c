"""Bits to symbols and back: 5G LDPC, QAM, CRC, a small block code, the ratio map's entropy coder.

numpy in, numpy out. Sionna (2 to 5 s to import) is imported at first use, never with the module.
"""
