"""What the options of this plugin's components may be."""

from __future__ import annotations

from typing import Any

from pycodec.errors import InvalidInput


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse an option that is no whole number of at least ``least``.

    Raises:
        InvalidInput: says so.
    """
    if type(value) is not int or value < least:
        raise InvalidInput(f"{name} is {value}, expected a whole number, {least} or more")
