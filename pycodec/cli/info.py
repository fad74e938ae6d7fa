"""``pycodec info``: what a .pci file says about itself, without decoding it and without torch."""

from __future__ import annotations

import json
from typing import Any

import click

from pycodec import bitstream, files, weight_store
from pycodec.errors import UnknownComponent
from pycodec.runtime import get_runtime

_WEIGHTS = {
    True: "match",
    False: "not those the file was written with; see pycodec weights",
    None: "not known without loading the codec",
}


@click.command()
@click.argument("source", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(source: str, as_json: bool) -> None:
    """Show the header of a .pci file, the sizes of its parts, and whether it can be decoded here.

    Header and parts are checked against their CRCs; a damaged file is an error.
    """
    fields = read_fields(files.read_bytes(source))
    if as_json:
        click.echo(json.dumps(fields))
        return
    for key, value in as_rows(fields):
        click.echo(f"{key:16} {value}")


def read_fields(data: bytes) -> dict[str, Any]:
    """What a .pci file says of itself, and whether it can be decoded here."""
    fields = bitstream.describe(data)
    fields.update(_installed(fields["codec"], fields["fingerprint"]))
    return fields


def as_rows(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields in words."""
    rows = {key.replace("_", " "): value for key, value in fields.items() if not key.endswith("_match")}
    rows["bpp"] = f"{fields['bpp']:.3f}"
    rows["installed"] = "yes" if fields["installed"] else "no"
    if fields["installed"]:
        rows["weights"] = _WEIGHTS[fields["weights_match"]]
    return [(key, str(value)) for key, value in rows.items()]


def _installed(codec: str, fingerprint: str) -> dict[str, Any]:
    """Whether the codec is here, and with the weights of that fingerprint (None: cannot be told)."""
    try:
        component = get_runtime().find("codec", codec)
    except UnknownComponent:
        return {"installed": False, "weights_match": None}
    own = weight_store.shipped(component)
    known = own.fingerprint if own else ""
    if known.startswith(fingerprint) or any(weight_store.find(component.name, fingerprint)):
        return {"installed": True, "weights_match": True}
    return {"installed": True, "weights_match": False if known else None}
