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


LONGEST_LINE = 1000
"""Letters of what an error says: of more the middle is left out."""


def one_line(what: object) -> str:
    """What an error says, however many lines it says it in, and however much."""
    line = " ".join(str(what).split())
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def guarded(main: Callable[[], None], stopped: str = "stopped") -> None:
    """Run a script's main: one sentence for what goes wrong. stopped: what is said after Ctrl-C."""
    try:
        main()
    except JsccError as error:
        print(f"{Path(sys.argv[0]).name}: {one_line(error)}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        raise SystemExit(130) from None
