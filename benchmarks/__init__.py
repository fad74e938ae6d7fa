"""What pycodec costs and what it gives: speed beside its peers, rate-distortion, exactness.

Run a module from the root of the repository: ``python -m benchmarks.range_coder --help``.
"""

import sys
from pathlib import Path

# `python -m` puts the working directory first. There lies pycodec's source, whose extension may be built
# elsewhere; what is measured is the pycodec that is installed.
if sys.path and Path(sys.path[0] or ".").resolve() == Path(__file__).resolve().parent.parent:
    del sys.path[0]
