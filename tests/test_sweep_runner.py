"""The runner: the same rows wherever they are made, whatever is killed on the way."""

import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sweeps
from processes import program
from sweeps import beside_progress, children, command, pretend, trial, wait_for_rows, whole_table, write_grid

from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.sweeps import (
    DaskCluster,
    Given,
    Grid,
    LocalProcesses,
    Outcome,
    SystemSpec,
    Workers,
    executors,
    run,
    runner,
    table,
)

FUSSY = """
from jscc_sim.allocation import Uniform

class Fussy(Uniform):
    def _allocate(self, blocks, ratios, budget):
        if {condition}:
            raise ValueError("not this one")
        return super()._allocate(blocks, ratios, budget)
"""


class Threads:
    """An executor in this process that counts what it is given."""

    def __init__(self):
        self.ran = []
        self.pool = ThreadPoolExecutor(2)

    def run(self, trials, store, work=pretend):
        def counting(trial):
            self.ran.append(trial.key)
            return work(trial)

        with self.pool:
            return run(trials, store, Given(self.pool, 2), counting)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.sqlite"


def undisturbed(folder, trials, work=pretend):
    """The table of a run that nothing happens to."""
    store = folder / "undisturbed.sqlite"
    Threads().run(trials, store, work)
    return whole_table(store)


def test_a_rerun_does_only_what_is_missing(path):
    trials = [trial(repeat) for repeat in range(12)]
    first, again, more = Threads(), Threads(), Threads()
    assert first.run(trials[:5], path).ok == 5
    assert again.run(trials[:5], path).ok == 5
    assert again.ran == []
    outcome = more.run(trials, path)
    assert sorted(more.ran) == sorted(trial.key for trial in trials[5:])
    assert outcome == Outcome(ran=7, ok=12, infeasible=(), failures=())


def test_without_a_terminal_lines_say_how_far_it_is(path, capsys, monkeypatch):
    """The first one at once; none where nothing is left to do, and none unless they are wanted."""
    trials = [trial(repeat) for repeat in range(4)]
    with ThreadPoolExecutor(1) as pool:
        run(trials[:1], path, Given(pool, 1), pretend)
        assert capsys.readouterr().err == ""
        run(trials[:3], path, Given(pool, 1), pretend, progress=True)
        assert capsys.readouterr().err == "trials: 1 of 3\n"
        monkeypatch.setattr(runner, "SAY_EVERY_S", -1.0)
        run(trials, path, Given(pool, 1), pretend, progress=True)
        assert capsys.readouterr().err == "trials: 3 of 4\ntrials: 4 of 4\n"
        run(trials, path, Given(pool, 1), pretend, progress=True)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("columns", [0, 80])
def test_a_terminal_without_columns_shows_no_bar(columns):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with os.fdopen(ours), os.fdopen(theirs, "w") as stream:
        assert runner._is_terminal(stream) is (columns > 0)


def test_what_failed_is_tried_again(path):
    def some_fail(trial):
        return trial.row("failed", "no luck") if trial.repeat == 1 else pretend(trial)

    trials = [trial(repeat) for repeat in range(3)]
    outcome = Threads().run(trials, path, some_fail)
    assert outcome.ok == 2
    assert outcome.failures == ((trials[1].coordinates, "no luck"),)
    again = Threads()
    assert again.run(trials, path).ok == 3
    assert again.ran == [trials[1].key]


def test_an_error_that_is_no_row_is_a_failed_trial(path):
    def wrong(trial):
        raise RuntimeError("lost on the way")

    assert Threads().run([trial()], path, wrong).failures[0][1] == "RuntimeError: lost on the way"


def test_a_trial_that_kills_its_workers(tmp_path, path):
    """The others are done, those that flew beside it too."""
    trials = [trial(repeat) for repeat in range(8)]
    outcome = run(trials, path, LocalProcesses(2), sweeps.pretend_and_die)
    assert outcome.failures == ((trials[3].coordinates, "its worker died, 2 times"),)
    done = whole_table(path).query("status == 'ok'").reset_index(drop=True)
    pd.testing.assert_frame_equal(done, undisturbed(tmp_path, trials[:3] + trials[4:]))


def test_a_worker_killed_once(tmp_path, path):
    trials = [trial(repeat, path=str(tmp_path / "mark")) for repeat in range(8)]
    assert run(trials, path, LocalProcesses(2), sweeps.die_once).ok == 8
    pd.testing.assert_frame_equal(whole_table(path), undisturbed(tmp_path, trials))


def test_no_workers():
    with pytest.raises(InputError, match="0 workers is below 1"):
        LocalProcesses(0)


# --- the command line, with trials that take no time ------------------------------------------------


def grid_and_rows(tmp_path, repeats):
    """A grid and its table."""
    grid = write_grid(tmp_path, repeats=repeats)
    return grid, undisturbed(tmp_path, Grid.from_toml(grid).trials())


def kill_and_go_on(tmp_path, path, grid, expected, after):
    """Kill the runner a little after so many rows, then run to the end."""
    running = command("pretend_slowly", "sweep", grid, "--store", path, "--workers", "2", cwd=tmp_path)
    with running:
        wait_for_rows(path, after, running)
        time.sleep(np.random.default_rng(after).uniform(0, 0.05))
        workers = children(running.pid)
        running.kill()
    if path.exists():
        assert len(table(path)) <= len(expected)
    ended = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < ended, "a worker outlives its runner"
        time.sleep(0.02)


@pytest.mark.parametrize("moments", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_runner_killed_at_random_moments(tmp_path, path, moments):
    grid, expected = grid_and_rows(tmp_path, repeats=moments * 2)
    for after in np.sort(np.random.default_rng(moments).integers(1, len(expected), moments)):
        kill_and_go_on(tmp_path, path, grid, expected, int(after))
    running = command("pretend", "sweep", grid, "--store", path, cwd=tmp_path)
    printed, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "0 infeasible, 0 failed" in printed
    pd.testing.assert_frame_equal(whole_table(path), expected)


@pytest.mark.parametrize("moments", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_workers_killed_at_random_moments(tmp_path, path, moments):
    grid, expected = grid_and_rows(tmp_path, repeats=moments * 4)
    running = command("pretend_slowly", "sweep", grid, "--store", path, "--workers", "2", cwd=tmp_path)
    with running:
        for after in np.sort(np.random.default_rng(moments).integers(1, len(expected) - 8, moments)):
            wait_for_rows(path, int(after), running)
            for pid in children(running.pid)[:1]:
                os.kill(pid, signal.SIGKILL)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, beside_progress(errors)) == (0, "")
    pd.testing.assert_frame_equal(whole_table(path), expected)


def test_ctrl_c_keeps_what_ran_and_says_how_to_go_on(tmp_path, path):
    grid, expected = grid_and_rows(tmp_path, repeats=10)
    running = command("pretend_slowly", "sweep", grid, "--store", path, "--workers", "2", cwd=tmp_path)
    wait_for_rows(path, 3, running)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    _, errors = running.communicate(timeout=60)
    rows = whole_table(path)
    assert running.returncode == 130
    assert 3 <= len(rows) < len(expected)
    assert f"stopped with {len(rows)} of 80 trials in {path}; the same command goes on" in errors
    assert "Traceback" not in errors
    running = command("pretend", "sweep", grid, "--store", path, cwd=tmp_path)
    assert beside_progress(running.communicate(timeout=60)[1]) == ""
    pd.testing.assert_frame_equal(whole_table(path), expected)


def test_a_second_ctrl_c_drops_what_runs(tmp_path, path):
    grid = write_grid(tmp_path)
    running = command("pretend_for_a_minute", "sweep", grid, "--store", path, cwd=tmp_path)
    marks = tmp_path / "marks"
    until = time.monotonic() + 30
    while not marks.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    assert running.stderr.readline() == "trials: 0 of 8\n"
    assert running.stderr.readline() == "stopping once 2 trials that have begun are over; Ctrl-C drops them\n"
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=20)
    assert (running.returncode, len(table(path))) == (130, 0)
    assert "stopped with 0 of 8 trials" in errors
    assert "Traceback" not in errors


def test_an_executor_that_broke_and_cannot_be_replaced(path):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        trials = [trial(repeat) for repeat in range(8)]
        with pytest.raises(InputError, match="the executor broke, and it is not ours to replace"):
            run(trials, path, Given(pool), sweeps.pretend_and_die)
    with ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(InputError, match=r"the executor takes no more trials: cannot schedule .*shutdown"):
        run(trials, path, Given(pool), pretend)


UNGUARDED = """
import sys
sys.path[:0] = {path}
import sweeps
from jscc_sim.sweeps import LocalProcesses, run
trials = [sweeps.trial(repeat) for repeat in range({trials})]
run(trials, "rows.sqlite", LocalProcesses({workers}), sweeps.pretend)
"""


def script_run(*argv, cwd, text=None):
    words = [sys.executable, *map(str, argv)]
    return subprocess.run(words, cwd=cwd, input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("trials", "workers"), [(1, 1), (8, 2)])
def test_a_script_without_a_guard_is_told_so(tmp_path, path, trials, workers):
    script = tmp_path / "mine.py"
    script.write_text(UNGUARDED.format(path=sys.path, trials=trials, workers=workers))
    ran = script_run(script, cwd=tmp_path)
    *_, said = ran.stderr.splitlines()
    assert said.startswith(f"jscc_sim.errors.InputError: {script} calls run(...) as it is imported")
    assert said.endswith("`if __name__ == '__main__':`")
    assert "_exit" not in ran.stderr
    assert ran.returncode == 1
    assert len(table(path)) == 0


def test_a_module_without_a_guard_is_told_so(tmp_path, path):
    (tmp_path / "mine.py").write_text(UNGUARDED.format(path=sys.path, trials=1, workers=1))
    *_, said = script_run("-m", "mine", cwd=tmp_path).stderr.splitlines()
    assert said.startswith("jscc_sim.errors.InputError: the main program calls run(...) as it is imported")


def test_a_script_from_standard_input_is_told_so(tmp_path):
    text = UNGUARDED.format(path=sys.path, trials=1, workers=1)
    ran = script_run("-", cwd=tmp_path, text=text)
    *_, said = ran.stderr.splitlines()
    assert "<stdin> is no file: write it to one" in said
    assert "__main__" in said
    assert ran.returncode == 1


def test_two_runners_on_one_store(tmp_path, path):
    """Every trial leaves a mark as it runs: none is there twice."""
    grid, expected = grid_and_rows(tmp_path, repeats=6)
    marks = tmp_path / "marks"
    marks.touch()
    runners = [
        command("pretend_with_mark", "sweep", grid, "--store", path, "--workers", "1", cwd=tmp_path)
        for _ in range(2)
    ]
    for process in runners:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, beside_progress(errors)) == (0, "")
    pids, keys = zip(*(line.split() for line in marks.read_text().splitlines()), strict=True)
    assert len(set(pids)) == 2, "one runner had nothing to do"
    assert sorted(keys) == sorted(expected["key"])
    pd.testing.assert_frame_equal(whole_table(path), expected)


# --- the command line, with real trials -----------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder with a grid and its rows by one worker: 16 trials, half of them infeasible."""
    folder = tmp_path_factory.mktemp("real")
    grid = write_grid(folder, cbr='["1/2", "1/200"]')
    ran = program("sweep", grid, "--store", "one.sqlite", cwd=folder)
    assert ran.code == 0
    assert ran.out == "one.sqlite: 16 trials, 16 of them run now: 8 ok, 8 infeasible, 0 failed\n"
    *named, more = beside_progress(ran.err).splitlines()
    assert all("infeasible: a.png" in line and "CBR 1/200" in line and "budget of" in line for line in named)
    assert len(named) == 3
    assert more.startswith("jscc-sim: infeasible: 5 more")
    return folder


def test_two_workers_make_the_same_rows_as_one(real):
    ran = program("sweep", "grid.toml", "--store", "two.sqlite", "--workers", "2", cwd=real)
    assert ran.code == 0
    pd.testing.assert_frame_equal(whole_table(real / "two.sqlite"), whole_table(real / "one.sqlite"))


def test_a_finished_sweep_says_so(real):
    ran = program("sweep", "grid.toml", "--store", "one.sqlite", cwd=real)
    assert ran.out == "one.sqlite: 16 trials, 0 of them run now: 8 ok, 8 infeasible, 0 failed\n"


def test_threads_make_the_same_rows(real):
    trials = Grid.from_toml(real / "grid.toml").trials()
    with ThreadPoolExecutor(2) as pool:
        run(trials, real / "threads.sqlite", Given(pool, 2))
    pd.testing.assert_frame_equal(whole_table(real / "threads.sqlite"), whole_table(real / "one.sqlite"))


def test_one_failing_point(tmp_path, path, capsys, monkeypatch):
    """A policy that raises at one of 8 points: the others are done, and it is named."""
    (tmp_path / "fussy.py").write_text(FUSSY.format(condition="len(FAILED) == 0 and not FAILED.append(1)")
                                       + "\nFAILED = []\n")  # fmt: skip
    grid = write_grid(tmp_path, policy="fussy.py:Fussy")
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("jscc_sim.cli.sweep._workers", lambda _: Given(pool))
        assert main(["sweep", str(grid), "--store", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{path}: 8 trials, 8 of them run now: 7 ok, 0 infeasible, 1 failed\n"
    point = "a.png, block-jscc fussy.py:Fussy, zoo linear, awgn at 5 dB, CBR 1/2, repeat 0"
    assert (
        beside_progress(printed.err) == f"jscc-sim: failed: {point}: Fussy raised ValueError: not this one\n"
    )
    rows = table(path)
    assert rows[rows["status"] == "failed"]["error"].tolist() == ["Fussy raised ValueError: not this one"]


def test_a_dry_run_runs_nothing(real, capsys, monkeypatch):
    monkeypatch.chdir(real)
    assert main(["sweep", "grid.toml", "--dry-run", "--workers", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("16 trials, 16 of them to run\nabout ")
    assert "on 2 idle workers" in printed
    before = (real / "one.sqlite").stat()
    assert main(["sweep", "grid.toml", "--dry-run", "--store", "one.sqlite"]) == 0
    assert capsys.readouterr().out.startswith("16 trials, 0 of them to run\nabout 0 s")
    assert (real / "one.sqlite").stat().st_mtime_ns == before.st_mtime_ns
    assert main(["sweep", "grid.toml", "--dry-run", "--store", "none.sqlite"]) == 0
    assert not Path("none.sqlite").exists()


def test_a_command_loads_each_system_once(real, capsys, monkeypatch):
    """Not for each trial: it took longer than a minute before the first word."""
    monkeypatch.chdir(real)
    loaded = []
    whole = SystemSpec.load
    monkeypatch.setattr(SystemSpec, "load", lambda spec, zoo=None: loaded.append(spec) or whole(spec, zoo))
    assert main(["sweep", "grid.toml", "--dry-run", "--store", "one.sqlite"]) == 0
    assert capsys.readouterr().out.startswith("16 trials, 0 of them to run")
    assert len(loaded) <= 2 * len(set(loaded))


def test_export_by_the_command_line(real, capsys, monkeypatch):
    monkeypatch.chdir(real)
    assert main(["export", "one.sqlite", "--csv", "one.csv"]) == 0
    assert capsys.readouterr().out == "one.csv: 16 rows\n"
    assert len(pd.read_csv("one.csv")) == 16
    assert main(["export", "grid.toml", "--csv", "two.csv"]) == 2
    assert "grid.toml cannot be used: it is no store" in capsys.readouterr().err
    assert not Path("two.csv").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "--store FILE is missing"),
        (["--store", "x.sqlite", "--workers", "0"], "0 workers is below 1"),
        (["--store", "x.sqlite", "--workers", "3000000000"], "3000000000 workers is above the limit of 1024"),
        (["--store", "x.sqlite", "--executor", "dask"], "needs --scheduler"),
        (["--store", "x.sqlite", "--scheduler", "tcp://a:1"], "needs --executor dask"),
        (
            ["--store", "x.sqlite", "--executor", "dask", "--scheduler", "a", "--workers", "2"],
            "brings its own",
        ),
        (["--store", "grid.toml"], "would replace grid.toml, which is read"),
    ],
)
def test_options_that_will_not_do(real, capsys, monkeypatch, options, error):
    monkeypatch.chdir(real)
    assert main(["sweep", "grid.toml", *options]) == 2
    printed = capsys.readouterr().err
    assert error in printed
    assert printed.count("\n") == 1
    assert not Path("x.sqlite").exists()


# --- Dask -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a scheduler with two workers of one thread each."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'jscc_sim[cluster]'")
    folder = tmp_path_factory.mktemp("dask")
    tests = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (tests, before)))}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment}
    quiet["start_new_session"] = True
    dask = [sys.executable, "-m", "dask"]
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*dask, "worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    file = folder / "scheduler.json"
    running = [
        subprocess.Popen([*words, "--scheduler-file", str(file)], **quiet) for words in (scheduler, worker)
    ]
    try:
        from distributed import Client

        with Client(scheduler_file=str(file), timeout=30, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)  # the nanny's workers too
            process.wait()


def test_dask_makes_the_same_rows(real, cluster):
    dask = ["--executor", "dask", "--scheduler", cluster]
    ran = program("sweep", "grid.toml", "--store", "dask.sqlite", *dask, cwd=real)
    assert ran.code == 0, ran.err
    assert all("infeasible: " in line for line in beside_progress(ran.err).splitlines()), ran.err
    pd.testing.assert_frame_equal(whole_table(real / "dask.sqlite"), whole_table(real / "one.sqlite"))


def test_a_dask_worker_killed(tmp_path, path, cluster):
    trials = [trial(repeat, path=str(tmp_path / "mark")) for repeat in range(12)]
    assert run(trials, path, DaskCluster(cluster), sweeps.die_once).ok == 12
    assert (tmp_path / "mark").exists()
    pd.testing.assert_frame_equal(whole_table(path), undisturbed(tmp_path, trials))


def test_what_dask_says_of_a_lost_result_is_no_news(cluster):
    workers = DaskCluster(cluster)
    workers.stop(workers.start())

    def heard(text):
        record = logging.LogRecord("distributed.client", logging.WARNING, "", 0, text, None, None)
        return bool(logging.getLogger(record.name).filter(record))

    assert not heard("Couldn't gather 1 keys, rescheduling ('a',)")
    assert heard("the scheduler is gone")
    error = (OSError, OSError("refused"), None)
    record = logging.LogRecord("distributed.client", logging.ERROR, "", 0, "", None, error)
    assert not logging.getLogger(record.name).filter(record), "a sentence says so, without a traceback"


def test_a_frozen_scheduler(monkeypatch, path):
    """It takes connections and says nothing, before a sweep or in the middle of it."""
    monkeypatch.setattr(executors, "CONNECT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        workers = DaskCluster(f"tcp://127.0.0.1:{frozen.getsockname()[1]}")
        with pytest.raises(InputError, match="does not answer within"):
            run([trial()], path, workers)
        monkeypatch.setattr(workers, "start", ThreadPoolExecutor)
        with pytest.raises(InputError, match=r"has not answered for .* goes on from the rows so far"):
            run([trial()], path, workers, pretend)
    assert workers.lost


@pytest.mark.parametrize("moments", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_dask_workers_killed_at_random_moments(tmp_path, path, cluster, moments):
    from distributed import Client

    grid, expected = grid_and_rows(tmp_path, repeats=moments * 8)
    dask = ["--executor", "dask", "--scheduler", cluster]
    running = command("pretend_slowly", "sweep", grid, "--store", path, *dask, cwd=tmp_path)
    with running, Client(cluster, set_as_default=False) as client:
        killed = set()
        for after in np.sort(np.random.default_rng(moments).integers(1, len(expected) - 32, moments)):
            wait_for_rows(path, int(after), running)
            client.wait_for_workers(1, timeout=30)
            pids = client.run(os.getpid, on_error="ignore").values()
            victim = next(pid for pid in pids if pid not in killed)
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, beside_progress(errors)) == (0, "")
    pd.testing.assert_frame_equal(whole_table(path), expected)


def test_no_scheduler(monkeypatch, path):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'jscc_sim[cluster]'")
    monkeypatch.setattr("jscc_sim.sweeps.executors.CONNECT_S", 0.2)
    workers: Workers = DaskCluster("tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        run([trial()], path, workers, pretend)


def test_who_is_waited_for_is_said(path, monkeypatch, capsys):
    """A runner of another machine holds the last trial, and then dies."""
    from jscc_sim.sweeps import runner, store

    for name in ("BEAT_S", "POLL_S"):
        monkeypatch.setattr(runner, name, 0.05)
    monkeypatch.setattr(store, "LEASE_S", 1.5)
    trials = [trial(0), trial(1)]
    with store.Store(path) as theirs:
        theirs.claim(trials[1].key)
        theirs._db.execute("UPDATE runners SET host = 'oak 7', heard = heard + 1e6")
        Threads().run(trials, path)
    assert len(table(path)) == 2
    assert (
        "waiting for 1 trials that another runner has, on oak; one that is silent" in capsys.readouterr().err
    )
