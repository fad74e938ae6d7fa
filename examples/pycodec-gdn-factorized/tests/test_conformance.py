"""Every component of this distribution keeps the rules of its kind."""

from pycodec.testing import parametrize_with_checks


@parametrize_with_checks(plugin="pycodec-gdn-factorized")
def test_conformance(check):
    check()
