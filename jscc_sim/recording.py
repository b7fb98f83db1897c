"""Symbols in SigMF files, which radio tools read: NAME.sigmf-meta and NAME.sigmf-data (cf32_le).

Beside the standard's own fields a recording holds only what its receiver measured, in the
namespace `jscc_sim:`. Source: SigMF 1.2, https://sigmf.org.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Received
from jscc_sim.errors import InputError
from jscc_sim.files import read_regular, write_whole

META, DATA, ARCHIVE = ".sigmf-meta", ".sigmf-data", ".sigmf"
NAMESPACE = "jscc_sim"
DATATYPE = "cf32_le"
LARGEST_META_BYTES = 1 << 20
"""A thousand times what the program writes; the standard's schema takes seconds for each megabyte."""

MOST_SAMPLES = 1 << 26
"""Half a gigabyte: a frame of the largest picture at the largest ratio."""

FASTEST_HZ = 1e12
"""What the standard allows."""

NOISE_VARIANCE = "noise_variance"
"""Measurement: complex noise variance."""

MOST_NOISE = 1e9
"""Largest noise variance that is believed: 90 dB above the signal."""

LOUDEST = 1e6
"""Largest amplitude of a sample: so much noise never has it, and networks compute with its square."""

CHANNEL = "channel"
"""Measurement: file name of a second recording, the channel estimate, in the same folder."""

_EXTENSION = {"name": NAMESPACE, "version": "1.0.0", "optional": True}
_SAMPLE = np.dtype("<c8")

Files = list[tuple[Path, bytes]]
"""Paths and what is to be in them."""


@dataclass(frozen=True, eq=False)
class Recording:
    """symbols: [uses] complex64, or samples at a rate. extra: the measurements, their names without
    namespace."""

    symbols: NDArray[np.complex64]
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    sample_rate_hz: float | None = None


def write_recording(
    path: str | os.PathLike[str],
    symbols: NDArray[np.complex64],
    *,
    description: str,
    extra: Mapping[str, Any] | None = None,
    sample_rate_hz: float | None = None,
) -> None:
    """Write both files, whole or not at all. path: with or without a SigMF suffix.

    extra: measurements that JSON can hold. Raises InputError where something cannot be written.
    """
    _write_together(_files(path, symbols, description, extra, sample_rate_hz))


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """The recording of a .sigmf-meta file, or of its name without suffix, checked.

    Raises InputError unless both files are there, valid, of type cf32_le, finite, and agree.
    """
    meta = _read_meta(_sibling(path, META))
    info = meta["global"]
    if info["core:datatype"] != DATATYPE:
        raise InputError(f"recording {path} holds {info['core:datatype']} samples, not {DATATYPE}")
    odd = {"core:dataset", "core:metadata_only", "core:trailing_bytes"} & info.keys()
    headers = [capture for capture in meta["captures"] if capture.get("core:header_bytes")]
    if odd or headers or info.get("core:num_channels", 1) != 1:
        raise InputError(f"recording {path} is not a plain SigMF recording of one channel")
    symbols = _read_data(_sibling(path, DATA), info.get("core:sha512"))
    spans = [*meta["captures"], *meta["annotations"]]
    ends = [span["core:sample_start"] + span.get("core:sample_count", 0) for span in spans]
    if max(ends, default=0) > len(symbols):
        raise InputError(f"recording {path} describes {max(ends)} samples and holds {len(symbols)}")
    prefix = f"{NAMESPACE}:"
    extra = {key.removeprefix(prefix): value for key, value in info.items() if key.startswith(prefix)}
    return Recording(symbols, str(info.get("core:description", "")), extra, _rate_of(path, info))


def recording_files(path: str | os.PathLike[str]) -> list[Path]:
    """The files that a recording and its channel estimate are kept in."""
    return [_sibling(name, suffix) for name in (path, _channel_path(path)) for suffix in (META, DATA)]


def write_received(path: str | os.PathLike[str], received: Received, *, description: str) -> None:
    """Write what a receiver got and measured, all of it or nothing; a channel estimate goes to
    NAME-channel."""
    extra: dict[str, Any] = {NOISE_VARIANCE: received.noise_variance}
    estimate: Files = []
    if received.estimate is not None:
        beside = _channel_path(path)
        estimate = _files(beside, received.estimate, f"Channel estimate: {description}")
        extra[CHANNEL] = beside.name
    _write_together(_files(path, received.symbols, description, extra) + estimate)


def read_received(path: str | os.PathLike[str]) -> Received:
    """What a receiver got and measured. Raises InputError where it is missing or does not fit."""
    recording = read_recording(path)
    uses = len(recording.symbols)
    variance = recording.extra.get(NOISE_VARIANCE)
    if recording.sample_rate_hz is not None and variance is None:
        raise InputError(
            f"recording {path} holds samples at {recording.sample_rate_hz:g} Hz, not symbols: name their "
            "waveform, --waveform ofdm"
        )
    if variance is None:
        raise InputError(
            f"recording {path} names no noise variance ({NAMESPACE}:{NOISE_VARIANCE}), as what was received "
            "does: jscc-sim channel makes one of what was sent"
        )
    if isinstance(variance, bool) or not isinstance(variance, int | float) or not 0 <= variance <= MOST_NOISE:
        raise InputError(f"noise variance of recording {path} is not a number from 0 to {MOST_NOISE:g}")
    estimate = None
    if (name := recording.extra.get(CHANNEL)) is not None:
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"recording {path} names {name!r} as its channel, which is no file beside it")
        estimate = read_recording(Path(path).parent / name).symbols
        if len(estimate) not in {1, uses}:
            raise InputError(f"channel estimate of {path} has {len(estimate)} uses, not {uses} or 1")
        estimate = np.broadcast_to(estimate, uses)
    return Received(recording.symbols, float(variance), estimate)


def levelled(samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Samples at unit mean power, however loud they were recorded, without the constant that a receiver's own
    oscillator adds."""
    wide = samples.astype(np.complex128)
    wide -= wide.mean()
    power = float(np.square(np.abs(wide)).mean())
    return (wide / np.sqrt(power)).astype(np.complex64) if power > 0 else samples


def _files(
    path: str | os.PathLike[str],
    symbols: NDArray[np.complex64],
    description: str,
    extra: Mapping[str, Any] | None = None,
    sample_rate_hz: float | None = None,
) -> Files:
    """Data and metadata of a recording."""
    import sigmf

    _check_samples(symbols, f"recording {path}")
    raw = symbols.astype(_SAMPLE).tobytes()
    info = {
        "core:datatype": DATATYPE,
        "core:description": description,
        "core:extensions": [_EXTENSION] if extra else [],
        "core:sha512": hashlib.sha512(raw).hexdigest(),
        **({} if sample_rate_hz is None else {"core:sample_rate": sample_rate_hz}),
        **{f"{NAMESPACE}:{name}": value for name, value in (extra or {}).items()},
    }
    meta = sigmf.SigMFFile(global_info=info)
    meta.add_capture(0)
    try:
        json.dumps(info, allow_nan=False)
        text = meta.dumps().encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"measurements of recording {path} cannot be written: {error}") from None
    if len(text) > LARGEST_META_BYTES:
        raise InputError(f"measurements of recording {path} take {len(text)} of {LARGEST_META_BYTES} bytes")
    return [(_sibling(path, DATA), raw), (_sibling(path, META), text)]


def _rate_of(path: str | os.PathLike[str], info: Mapping[str, Any]) -> float | None:
    """Samples a second, where a recording names them. Raises InputError for none that there is."""
    rate_hz = info.get("core:sample_rate")
    if rate_hz is not None and not 0 < rate_hz <= FASTEST_HZ:
        raise InputError(f"recording {path} has a sample rate of {rate_hz:g} Hz, outside 0 to {FASTEST_HZ:g}")
    return None if rate_hz is None else float(rate_hz)


def _write_together(files: Files) -> None:
    """Each file waits in a temporary neighbour until all are complete; the last moves into place first."""
    (path, content), *rest = files
    if path.is_dir():
        raise InputError(f"output {path} cannot be written: it is a folder")

    def write(handle: Any) -> None:
        handle.write(content)
        handle.flush()
        if rest:
            _write_together(rest)

    write_whole(path, write)


def _sibling(path: str | os.PathLike[str], suffix: str) -> Path:
    """NAME + suffix, where path is NAME with or without one of the two suffixes."""
    given = Path(path)
    if given.suffix == ARCHIVE:
        raise InputError(f"recording {path} is named as an archive: unpack it with tar, and name its {META}")
    stem = given.name.removesuffix(META).removesuffix(DATA)
    if not stem:
        raise InputError(f"recording {str(path)!r} has no file name")
    return given.parent / (stem + suffix)


def _channel_path(path: str | os.PathLike[str]) -> Path:
    meta = _sibling(path, META)
    return meta.with_name(meta.name.removesuffix(META) + f"-channel{META}")


def _read_meta(path: Path) -> dict[str, Any]:
    from jsonschema.exceptions import ValidationError
    from sigmf import SigMFFile
    from sigmf.error import SigMFError

    try:
        meta: dict[str, Any] = json.loads(_read_bytes(path, LARGEST_META_BYTES))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a namespace that was not declared
            SigMFFile(metadata=meta).validate()
    except ValidationError as error:
        raise InputError(f"{path} is not valid SigMF metadata: {error.message[:200]}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON") from None
    except (SigMFError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is not valid SigMF metadata: {error}") from None
    return meta


def _read_data(path: Path, sha512: str | None) -> NDArray[np.complex64]:
    raw = _read_bytes(path, MOST_SAMPLES * _SAMPLE.itemsize)
    if len(raw) % _SAMPLE.itemsize:
        raise InputError(f"{path} is cut short: {len(raw)} bytes are no whole number of samples")
    if sha512 is not None and hashlib.sha512(raw).hexdigest() != sha512.lower():
        raise InputError(f"{path} has changed since it was recorded: its SHA-512 differs")
    symbols = np.frombuffer(raw, dtype=_SAMPLE).astype(np.complex64)
    _check_samples(symbols, str(path))
    return symbols


def _read_bytes(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _check_samples(symbols: NDArray[np.complex64], name: str) -> None:
    if symbols.ndim != 1 or not len(symbols):
        raise InputError(f"{name} holds no samples")
    if not np.isfinite(symbols).all():
        raise InputError(f"{name} holds samples that are not finite")
    loudest = max(np.abs(symbols.real).max(), np.abs(symbols.imag).max())
    if loudest > LOUDEST:
        raise InputError(f"{name} holds a sample of amplitude {loudest:.3g}, more than {LOUDEST:g}")
