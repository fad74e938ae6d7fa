"""A page in one file: templates, style sheet and script put together, and nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pycodec import files

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **variables: Any) -> str:
    """HTML of a template; everything in it is escaped but what is Markup already."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (Markup((TEMPLATES / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    return environment.get_template(template).render(
        style=style,
        script=script,
        policy=_policy(style, script),
        pycodec_version=importlib.metadata.version("pycodec"),
        **variables,
    )


def write(out: Path, template: str, **variables: Any) -> None:
    """Write a page, whole or not at all.

    Raises:
        InvalidInput, OSError: it cannot be written.
    """
    files.write_bytes(out, render(template, **variables).encode(errors="backslashreplace"))


def _policy(style: str, script: str) -> str:
    """Content-Security-Policy: this style, this script, pictures in the page, and nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
