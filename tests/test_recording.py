"""SigMF files: what is written comes back, and every defect is one sentence that names the file."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jscc_sim.channels import Received
from jscc_sim.errors import InputError
from jscc_sim.recording import read_received, read_recording, write_received, write_recording


def some_symbols(count=50, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


def edit(folder, change, name="a"):
    """Change the metadata as a dict in place."""
    path = folder / f"{name}.sigmf-meta"
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


@pytest.fixture
def recorded(tmp_path):
    measured = Received(some_symbols(), 0.1, some_symbols(seed=1))
    write_received(tmp_path / "a", measured, description="a frame")
    return tmp_path


@given(
    count=st.integers(1, 300),
    seed=st.integers(0, 9),
    suffix=st.sampled_from(["", ".sigmf-meta", ".sigmf-data"]),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_round_trip(tmp_path, count, seed, suffix):
    symbols = some_symbols(count, seed)
    extra = {"noise_variance": 0.1 + seed / 7, "taps": [1, 2.5]}
    write_recording(tmp_path / f"x.y{suffix}", symbols, description="d", extra=extra)
    recording = read_recording(tmp_path / "x.y.sigmf-meta")
    assert recording.symbols.dtype == np.complex64
    np.testing.assert_array_equal(recording.symbols, symbols)
    assert (recording.description, recording.extra) == ("d", extra)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.y.sigmf-data", "x.y.sigmf-meta"]


@pytest.mark.parametrize("estimate", [None, some_symbols(1), some_symbols(50, 3)])
def test_measurements_round_trip(tmp_path, estimate):
    write_received(tmp_path / "a.sigmf-meta", Received(some_symbols(), 0.1 + 0.2, estimate), description="")
    back = read_received(tmp_path / "a")
    np.testing.assert_array_equal(back.symbols, some_symbols())
    assert back.noise_variance == 0.1 + 0.2
    if estimate is None:
        assert back.estimate is None
    else:
        np.testing.assert_array_equal(back.estimate, np.broadcast_to(estimate, 50))


def test_radio_tools_read_it_and_nothing_else_is_told(recorded):
    import sigmf

    signal = sigmf.fromfile(recorded / "a.sigmf-meta")
    signal.validate()
    np.testing.assert_array_equal(signal.read_samples(), some_symbols())
    allowed = {
        "datatype",
        "version",
        "sha512",
        "description",
        "extensions",
        "num_channels",
        "offset",
        "recorder",
    }
    names = {key for key in signal.get_global_info() if key.startswith("core:")}
    assert names <= {f"core:{name}" for name in allowed}
    others = set(signal.get_global_info()) - names
    assert others == {"jscc_sim:noise_variance", "jscc_sim:channel"}


def test_a_recording_of_a_radio_needs_no_hash_and_no_extension(recorded):
    edit(recorded, lambda meta: [meta["global"].pop(f"core:{key}") for key in ("sha512", "description")])
    np.testing.assert_array_equal(read_recording(recorded / "a").symbols, some_symbols())


GLOBAL_DEFECTS = {
    "other type": {"core:datatype": "ci16_le"},
    "unknown type": {"core:datatype": "cf99"},
    "type is a number": {"core:datatype": 7},
    "two channels": {"core:num_channels": 2},
    "data elsewhere": {"core:dataset": "/etc/passwd"},
    "bytes at the end": {"core:trailing_bytes": 10**15},
    "no data": {"core:metadata_only": True},
    "wrong hash": {"core:sha512": "0" * 128},
    "negative noise": {"jscc_sim:noise_variance": -1.0},
    "noise as text": {"jscc_sim:noise_variance": "loud"},
    "noise as object": {"jscc_sim:noise_variance": {"a": 1}},
    "ragged noise": {"jscc_sim:noise_variance": [1, [2]]},
    "noise of another length": {"jscc_sim:noise_variance": [0.1] * 49},
    "endless noise": {"jscc_sim:noise_variance": 10**400},
    "channel elsewhere": {"jscc_sim:channel": "../a.sigmf-meta"},
    "channel missing": {"jscc_sim:channel": "b.sigmf-meta"},
    "channel a number": {"jscc_sim:channel": 3},
    "extensions a number": {"core:extensions": 3},
}


@pytest.mark.parametrize("fields", GLOBAL_DEFECTS.values(), ids=GLOBAL_DEFECTS.keys())
def test_edited_fields(recorded, fields):
    edit(recorded, lambda meta: meta["global"].update(fields))
    with pytest.raises(InputError, match=r"sigmf|recording"):
        read_received(recorded / "a")


def test_undeclared_namespace_is_harmless(recorded):
    edit(recorded, lambda meta: meta["global"].pop("core:extensions"))
    assert read_received(recorded / "a").noise_variance == 0.1


@pytest.mark.parametrize(
    "span",
    [
        {"captures": [{"core:sample_start": 51}]},
        {"captures": [{"core:sample_start": 0, "core:header_bytes": 10**12}]},
        {"captures": "all"},
        {"captures": [7]},
        {"annotations": [{"core:sample_start": 0, "core:sample_count": 10**18}]},
        {"global": []},
        {"global": {}},
    ],
)
def test_edited_sections(recorded, span):
    edit(recorded, lambda meta: meta.update(span))
    with pytest.raises(InputError, match=r"sigmf|recording"):
        read_recording(recorded / "a")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "3", '"x"', "{}", "[" * 100_000, "\xff\xfe", '{"a": NaN}']
)
def test_metadata_that_are_not_sigmf(recorded, text):
    (recorded / "a.sigmf-meta").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.sigmf-meta"):
        read_recording(recorded / "a")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 396, 399])
def test_data_cut_short(recorded, keep):
    path = recorded / "a.sigmf-data"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.sigmf-data"):
        read_recording(recorded / "a")


def test_data_edited_or_not_finite(recorded):
    path = recorded / "a.sigmf-data"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="SHA-512"):
        read_recording(recorded / "a")
    path.write_bytes(np.full(50, np.nan, dtype="<c8").tobytes())
    edit(recorded, lambda meta: meta["global"].pop("core:sha512"))
    with pytest.raises(InputError, match="not finite"):
        read_recording(recorded / "a")


@pytest.mark.parametrize(
    "missing", ["a.sigmf-meta", "a.sigmf-data", "a-channel.sigmf-meta", "a-channel.sigmf-data"]
)
def test_missing_files(recorded, missing):
    (recorded / missing).unlink()
    with pytest.raises(InputError, match=missing):
        read_received(recorded / "a")


def test_a_huge_file_is_refused_unread(recorded):
    with (recorded / "a.sigmf-data").open("r+b") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(InputError, match="more than"):
        read_recording(recorded / "a")


def test_no_noise_variance(tmp_path):
    write_recording(tmp_path / "a", some_symbols(), description="")
    with pytest.raises(InputError, match="names no noise variance"):
        read_received(tmp_path / "a")


@pytest.mark.parametrize(
    "symbols", [some_symbols(0), np.array([np.inf + 0j], dtype=np.complex64), some_symbols(4).reshape(2, 2)]
)
def test_unusable_symbols_are_not_written(tmp_path, symbols):
    with pytest.raises(InputError):
        write_recording(tmp_path / "a", symbols, description="")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extra", [{"x": object()}, {"x": float("nan")}])
def test_unusable_measurements_are_not_written(tmp_path, extra):
    with pytest.raises(InputError, match="a cannot be written"):
        write_recording(tmp_path / "a", some_symbols(), description="", extra=extra)
    assert not list(tmp_path.iterdir())


def test_unwritable_output(tmp_path):
    with pytest.raises(InputError, match="absent"):
        write_recording(tmp_path / "absent" / "a", some_symbols(), description="")
    with pytest.raises(InputError, match="no file name"):
        write_recording("", some_symbols(), description="")


def test_a_failed_write_leaves_the_earlier_recording_whole(tmp_path):
    write_recording(tmp_path / "a", some_symbols(), description="first")
    (tmp_path / "b.sigmf-meta").mkdir()
    with pytest.raises(InputError, match=r"b\.sigmf-meta"):
        write_recording(tmp_path / "b", some_symbols(), description="second")
    assert not (tmp_path / "b.sigmf-data").exists()
    assert read_recording(tmp_path / "a").description == "first"


@pytest.mark.parametrize(("suffix", "most"), [(".sigmf-meta", 1 << 20), (".sigmf-data", 8 << 26)])
def test_files_larger_than_any_frames_are_not_read(tmp_path, suffix, most):
    write_recording(tmp_path / "r", np.ones(4, np.complex64), description="")
    with (tmp_path / f"r{suffix}").open("r+b") as handle:
        handle.truncate(most + 1)
    with pytest.raises(InputError, match=rf"its {most + 1} bytes are more than {most}, the limit"):
        read_recording(tmp_path / "r")


def test_an_archive_is_named(tmp_path):
    (tmp_path / "a.sigmf").write_bytes(b"ustar")
    for use in (read_recording, lambda path: write_recording(path, some_symbols(), description="")):
        with pytest.raises(InputError, match=r"a\.sigmf is named as an archive: unpack it with tar"):
            use(tmp_path / "a.sigmf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.sigmf"]
