"""BPG by bpgenc and bpgdec, which convert colours themselves, with rounding."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from pycodec.images import Picture, opened, to_pil
from pycodec_plugins.classical import programs
from pycodec_plugins.classical.base import ClassicalCodec, one_of


class Bpg(ClassicalCodec):
    """BPG; its quality is the quantization parameter, so that a higher one means a smaller file.

    Args:
        encoder, decoder: paths of bpgenc and bpgdec, by default those in PYCODEC_BPG_ENCODER and
            PYCODEC_BPG_DECODER, or in PATH.
        chroma: "420", "422" or "444".
        bits: of a coded sample, 8 to 12.
        colours: "ycbcr_bt709", or another that ``bpgenc -c`` takes.
        effort: 1 to 9, slowest and best.
    """

    name, label, suffix = "bpg", "BPG", ".bpg"
    qualities, default_quality = (0, 51), 28
    settings = (44, 40, 36, 32, 28, 24, 20, 16)

    def __init__(
        self,
        encoder: str | None = None,
        decoder: str | None = None,
        chroma: int = 444,
        bits: int = 10,
        colours: str = "ycbcr_bt709",
        effort: int = 9,
    ):
        one_of("chroma", chroma, (420, 422, 444))
        one_of("bits", bits, range(8, 13))
        one_of("colours", colours, ("ycbcr", "ycbcr_bt709", "rgb", "ycgco"))
        one_of("effort", effort, range(1, 10))
        self.encoder = programs.find(self.name, "encoder", encoder)
        self.decoder = programs.find(self.name, "decoder", decoder)
        super().__init__(
            f"{':'.join(str(chroma))} {colours}, {bits} bit, effort {effort}",
            chroma=chroma,
            bits=bits,
            colours=colours,
            effort=effort,
        )

    def version(self) -> str:
        return programs.version([self.encoder])

    def encode(self, picture: Picture, quality: float) -> bytes:
        self.no_profile(picture)
        with tempfile.TemporaryDirectory(prefix="pycodec-") as folder:
            source, target = Path(folder, "in.png"), Path(folder, "out.bpg")
            to_pil(picture.rgb).save(source)
            options = self.options
            command = [
                *(
                    self.encoder,
                    "-q",
                    f"{quality:g}",
                    "-f",
                    f"{options['chroma']}",
                    "-b",
                    f"{options['bits']}",
                ),
                *("-c", options["colours"], "-m", f"{options['effort']}", "-o", str(target), str(source)),
            ]
            return programs.run_for(target, command)

    def decode(self, data: bytes) -> Image.Image:
        with tempfile.TemporaryDirectory(prefix="pycodec-") as folder:
            source, target = Path(folder, "in.bpg"), Path(folder, "out.png")
            source.write_bytes(data)
            programs.run_for(target, [self.decoder, "-o", str(target), str(source)])
            with opened(target, ["PNG"]) as image:
                return image.convert("RGB")
