"""Registers the codec composed."""

from __future__ import annotations

PYCODEC_API = 1
PYCODEC_TEST_CONFIGS = {"codec:composed": []}  # nothing without parts, which are others'


def pycodec_register_codecs(register):
    register(
        "composed",
        "pycodec_plugins.composed.codec:create",
        summary="any transform, quantizer and entropy model by name, trained together",
        missing=lambda: "needs weights of yours",
    )
