"""`charm` on the PATH and `python -m charm_rm`: replaces this process by the program."""

import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).parent / "bin" / "charm"
    os.execv(program, ["charm", *sys.argv[1:]])


if __name__ == "__main__":
    main()
