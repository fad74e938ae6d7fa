"""Entropy coding over numpy arrays: integer symbols and tables to bytes and back, exactly, everywhere.

The coder is native rANS; :mod:`pycodec.coding.reference` is the same in plain Python. Never imports torch.

    >>> tables = Tables.from_gaussian_scales([0.5, 2.0])
    >>> data = encode([0, -3, 1], tables, indexes=[0, 1, 0])
    >>> decode(data, tables, 3, indexes=[0, 1, 0]).tolist()
    [0, -3, 1]
"""

from pycodec.coding.coder import (
    Decoder,
    code_length_bits,
    code_lengths,
    decode,
    decode_pmfs,
    encode,
    encode_pmfs,
)
from pycodec.coding.tables import Tables

__all__ = [
    "Decoder",
    "Tables",
    "code_length_bits",
    "code_lengths",
    "decode",
    "decode_pmfs",
    "encode",
    "encode_pmfs",
]
