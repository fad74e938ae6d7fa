"""The pictures that reports are made of in tests."""

from __future__ import annotations

WIDTH, HEIGHT = 208, 184
AWKWARD = "c <b>\"&'.png"
