"""The command ``hitherto``, out of the wheel: also ``python -m hitherto``."""

import signal
import sys

from . import _native


def main() -> None:
    """Runs the command that was typed, and ends the process with its exit code."""
    # Ctrl-C is for the command, which stops as the binary does. Python's own handler would
    # only take a note of it, for whenever the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.main(["hitherto", *sys.argv[1:]], sys.executable or None))


if __name__ == "__main__":
    main()
