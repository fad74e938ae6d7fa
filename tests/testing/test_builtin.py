"""The plugins that come with pycodec pass the conformance kit through exactly the path of anybody's."""

from __future__ import annotations

from pathlib import Path

from pycodec.testing import parametrize_with_checks

GOLDEN = Path(__file__).parents[1] / "golden" / "conformance"


@parametrize_with_checks(plugin="pycodec", golden=GOLDEN)
def test_conformance(check):
    check()
