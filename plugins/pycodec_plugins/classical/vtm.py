"""H.266/VVC intra frames by VTM, the reference software: 4:4:4, BT.709, full range.

A file is the bitstream of the encoder and nothing else; the decoder says the size of its picture itself, in a
YUV4MPEG2 file, which VTM writes since version 18.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
from pathlib import Path

from PIL import Image

from pycodec.errors import InvalidInput, MissingDependency
from pycodec.images import Picture, to_pil
from pycodec_plugins.classical import programs, y4m, ycbcr
from pycodec_plugins.classical.base import ClassicalCodec, one_of

CONFIG = "encoder_intra_vtm.cfg"
CONFIG_VARIABLE = "PYCODEC_VTM_CONFIG"


class Vtm(ClassicalCodec):
    """VTM; its quality is the quantization parameter, so that a higher one means a smaller file.

    Args:
        encoder, decoder: paths of EncoderApp and DecoderApp, by default those in PYCODEC_VTM_ENCODER and
            PYCODEC_VTM_DECODER, or in PATH.
        config: path of encoder_intra_vtm.cfg, by default that in PYCODEC_VTM_CONFIG, or in the folder
            ``cfg`` of the source tree in which the encoder lies.
        bits: of a sample, 8 or 10.
        extra: further arguments of the encoder.
    """

    name, label, suffix = "vtm", "VTM", ".266"
    qualities, default_quality = (0, 63), 32
    settings = (42, 38, 34, 30, 26, 22, 18, 14)

    def __init__(
        self,
        encoder: str | None = None,
        decoder: str | None = None,
        config: str | None = None,
        bits: int = 10,
        extra: str = "",
    ):
        one_of("bits", bits, (8, 10))
        self.encoder = programs.find(self.name, "encoder", encoder)
        self.decoder = programs.find(self.name, "decoder", decoder)
        self.cfg = _config(config, self.encoder)
        self.bits, self.extra = bits, shlex.split(extra)
        super().__init__(
            ", ".join(["intra, 4:4:4 BT.709", f"{bits} bit", self.cfg.name, *filter(None, [extra])]),
            bits=bits,
            config=hashlib.sha256(self.cfg.read_bytes()).hexdigest(),
            extra=extra,
        )

    def version(self) -> str:
        return programs.version([self.encoder])

    def encode(self, picture: Picture, quality: float) -> bytes:
        self.no_profile(picture)
        width, height = picture.size
        with tempfile.TemporaryDirectory(prefix="pycodec-") as folder:
            source, target = Path(folder, "in.yuv"), Path(folder, "out.266")
            source.write_bytes(y4m.samples(ycbcr.from_rgb(picture.rgb, self.bits), self.bits))
            command = [
                *(self.encoder, "-c", str(self.cfg), "-i", str(source), "-b", str(target)),
                *("-q", f"{quality:g}", f"--SourceWidth={width}", f"--SourceHeight={height}"),
                *("--FrameRate=1", "--FramesToBeEncoded=1", "--ConformanceWindowMode=1"),
                *(f"--InputBitDepth={self.bits}", f"--InternalBitDepth={self.bits}"),
                *("--InputChromaFormat=444", "--ChromaFormatIDC=444", *self.extra),
            ]
            return programs.run_for(target, command)

    def decode(self, data: bytes) -> Image.Image:
        with tempfile.TemporaryDirectory(prefix="pycodec-") as folder:
            source, target = Path(folder, "in.266"), Path(folder, "out.y4m")
            source.write_bytes(data)
            decoded = programs.run_for(
                target, [self.decoder, "-b", str(source), "-o", str(target), "-d", "0"]
            )
        if not decoded.startswith(b"YUV4MPEG2"):
            raise MissingDependency("DecoderApp writes no YUV4MPEG2 file; codec 'vtm' needs VTM 18 or newer")
        return to_pil(ycbcr.to_rgb(*y4m.read(decoded)))


def _config(given: str | None, encoder: str) -> Path:
    """The configuration file of the encoder.

    Raises:
        InvalidInput: no such file.
        MissingDependency: none is named, and none lies near the encoder.
    """
    named = given or os.environ.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise InvalidInput(f"no file {named}, expected the configuration of VTM, such as {CONFIG}")
        return Path(named)
    for folder in Path(encoder).resolve().parents:
        if (folder / "cfg" / CONFIG).is_file():
            return folder / "cfg" / CONFIG
    raise MissingDependency(
        f"codec 'vtm' needs {CONFIG} from the folder cfg of VTM; give its path as the option config or in "
        f"{CONFIG_VARIABLE}"
    )
