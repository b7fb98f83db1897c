"""Picture files that Pillow does not write, byte by byte from their specifications."""

from __future__ import annotations

import struct
import zlib

import numpy as np

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, and their steps, of each pass of an interlaced PNG."""

PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's colour types by the number of channels: grey, grey and alpha, RGB, RGBA."""


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(size, bits, colour, rows, interlaced=False, key=None):
    """rows: filtered lines, not yet compressed. key: the transparent sample values."""
    height, width = size
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    transparency = b"" if key is None else png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    data = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + transparency + data + png_chunk(b"IEND", b"")


def png_of_16_bits(samples, interlaced=False, key=None):
    """samples: [H, W, C] uint16; each line under the filter of its number, so that all five occur."""
    height, width, channels = samples.shape
    parts = [samples[top::down, left::right] for top, left, down, right in ADAM7] if interlaced else [samples]
    rows = b"".join(_png_rows(part) for part in parts if part.size)
    return png_file((height, width), 16, PNG_COLOUR[channels], rows, interlaced, key)


def _png_rows(samples):
    step = 2 * samples.shape[2]
    lines = samples.astype(">u2").tobytes()
    length = samples.shape[1] * step
    above, rows = bytes(length), b""
    for number in range(len(samples)):
        line = lines[number * length : (number + 1) * length]
        left, corner = bytes(step) + line[:-step], bytes(step) + above[:-step]
        kind = number % 5
        guess = {
            0: bytes(length),
            1: left,
            2: above,
            3: bytes((a + b) // 2 for a, b in zip(left, above, strict=True)),
            4: bytes(_paeth(a, b, c) for a, b, c in zip(left, above, corner, strict=True)),
        }[kind]
        rows += bytes([kind]) + bytes((x - y) % 256 for x, y in zip(line, guess, strict=True))
        above = line
    return rows


def _paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def tiff_file(size, bits, data, tags=(), channels=1, order="<"):
    """One strip. tags: {number: value} beyond the sizes; a value is a number of 16 bits, or bytes."""
    height, width = size
    entries = {256: width, 257: height, 258: struct.pack(f"{order}{channels}H", *[bits] * channels)}
    entries |= {259: 1, 262: 1 if channels == 1 else 2, 277: channels, 278: height} | dict(tags)
    if channels == 1:
        entries[258] = bits
    start = 8
    place = start + len(data) + len(data) % 2
    entries |= {273: start, 279: len(data)}
    directory, beyond = b"", b""
    after = place + 2 + 12 * len(entries) + 4
    for number, value in sorted(entries.items()):
        if isinstance(value, bytes):
            kind, count = (3, len(value) // 2) if number == 258 else (7, len(value))
            directory += struct.pack(f"{order}HHII", number, kind, count, after + len(beyond))
            beyond += value + b"\0" * (len(value) % 2)
        else:
            directory += struct.pack(f"{order}HHII", number, 4, 1, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", place)
    body = data + b"\0" * (len(data) % 2)
    return head + body + struct.pack(f"{order}H", len(entries)) + directory + bytes(4) + beyond


def lzw(data):
    """TIFF's LZW, cleared so often that no string and no code of 10 bits ever occurs."""
    codes = [256]
    for number, byte in enumerate(data):
        codes += [byte] if number % 200 else [256, byte]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits), 8))


def packed_12_bits(samples):
    """[H, W] values, W even, three bytes a pair."""
    bits = "".join(f"{value:012b}" for value in np.ravel(samples))
    return bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits), 8))
