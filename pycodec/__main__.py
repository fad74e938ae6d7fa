"""``python -m pycodec`` is the ``pycodec`` command."""

import sys

from pycodec.cli import main

if __name__ == "__main__":
    sys.exit(main())
