"""The errors that a user can cause. Each message names the thing, the value and the limit."""

import sys
from collections.abc import Callable
from pathlib import Path


class JsccError(Exception):
    """Base of all errors that the command line turns into one sentence and an exit code."""

    exit_code = 2


class InputError(JsccError):
    """An argument, a file or a plug-in that cannot be used as given."""


class BudgetError(JsccError):
    """A budget of channel uses that cannot be kept, or that no frame fits."""


class OutageError(JsccError):
    """A received frame whose header could not be decoded: there is no picture to write."""

    exit_code = 3


class ImpossibleFrameError(OutageError):
    """A frame whose intact header says what cannot be: forged, cut short, or a freak of the noise."""

    exit_code = 2


NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc")
"""What torch says of it, on CPUs and GPUs."""


def out_of_memory(error: BaseException) -> str | None:
    """What an error says of memory that is not there, None for another error. torch has a MemoryError of its
    own for GPUs alone."""
    what = one_line(error)
    if isinstance(error, MemoryError):
        return f"out of memory: {what}"
    if isinstance(error, RuntimeError) and any(words in what for words in NO_MEMORY):
        return f"out of memory: {what.rpartition('DefaultCPUAllocator: ')[2]}"
    return None


def printable(text: str) -> str:
    """Text that can be written down: a file's name, or what an error says, need not be Unicode."""
    return text.encode(errors="backslashreplace").decode()


LONGEST_LINE = 1000
"""Letters of what an error says: of more the middle is left out."""


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def one_line(what: object) -> str:
    """What an error says, however many lines it says it in, and however much."""
    try:
        line = " ".join(str(what).split())
    except Exception:  # somebody's exception that cannot even say what it is
        line = f"{type(what).__name__} without words"
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def guarded(main: Callable[[], None], stopped: str = "stopped") -> None:
    """Run a script's main: one sentence for what goes wrong. stopped: what is said after Ctrl-C."""
    try:
        main()
    except JsccError as error:
        print(f"{_program()}: {one_line(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except (MemoryError, RuntimeError) as error:
        if (short := out_of_memory(error)) is None:
            raise
        print(f"{_program()}: {short}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        raise SystemExit(130) from None


def _program() -> str:
    """What runs, as its messages call it: a script, or the folder that `python -m` names."""
    path = Path(sys.argv[0]).resolve()
    return f"python -m {path.parent.name}" if path.name == "__main__.py" else path.name
