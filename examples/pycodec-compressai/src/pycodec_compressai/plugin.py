"""What pycodec imports; CompressAI itself is imported when the codec or the command is used."""

from __future__ import annotations

PYCODEC_API = 1  # version of the plugin interface this is written for
HERE = "pycodec_compressai"


def pycodec_register_codecs(register):
    register(
        "compressai_factorized",
        f"{HERE}.codec:create",
        summary="bmshj2018_factorized of CompressAI; weights by `pycodec compressai-weights`",
    )


def pycodec_register_commands(cli):
    cli.lazy_command(
        "compressai-weights", f"{HERE}.convert:command", "Weights of CompressAI as a file for pycodec."
    )
