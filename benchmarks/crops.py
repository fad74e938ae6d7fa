"""Crops of photographs at equal rates, side by side, to be looked at.

Every codec compresses the whole image, into the best file of at most each rate. A sheet for each image has
the original and what comes back, two pixels a side for one, with rate and PSNR of the whole image. They go to
``--sheets`` and hold parts of the images; the figures go to benchmarks/results/crops.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pycodec.errors import InvalidInput
from pycodec.evaluation import metrics, rd
from pycodec.evaluation.spec import ImageCodec, load_codec, settings_of

from . import common

CODECS = ["ctx3d", "ctx3d-msssim", "avif", "jxl", "webp"]
RATES = (0.15, 0.3)  # bits per pixel
CROPS = {  # left and top of what is shown
    "kodim04": (150, 190),
    "kodim07": (300, 150),
    "kodim08": (250, 200),
    "kodim13": (250, 250),
    "kodim19": (150, 330),
    "kodim23": (80, 60),
}
SIDE, ENLARGED, CAPTION = 192, 2, 26


def file_of_rate(codec: ImageCodec, image: np.ndarray, rate: float) -> tuple[bytes, float]:
    """The best file of at most so many bits per pixel, or the smallest that there is; and its setting."""
    try:
        return rd.encode_to_size(codec, image, int(rate * image.shape[0] * image.shape[1] / 8))
    except InvalidInput:
        lowest = settings_of(codec)[0]
        return codec.compress(image, quality=lowest), lowest


def sheet(crops: list[list[tuple[str, np.ndarray]]]) -> Image.Image:
    """Rows of titled crops."""
    side = SIDE * ENLARGED
    made = Image.new("RGB", (side * len(crops[0]), (side + CAPTION) * len(crops)), "white")
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(18)
    for r, row in enumerate(crops):
        for c, (title, crop) in enumerate(row):
            left, top = c * side, r * (side + CAPTION)
            draw.text((left + 4, top + 2), title, "black", font)
            enlarged = Image.fromarray(crop).resize((side, side), Image.Resampling.NEAREST)
            made.paste(enlarged, (left, top + CAPTION))
    return made


def measure(data: Path, codecs: list[str], sheets: Path) -> list[dict[str, Any]]:
    """Figures of the whole images; the sheets are written on the way."""
    files = {path.stem: path for path in rd.image_files(data)}
    if missing := [name for name in CROPS if name not in files]:
        raise InvalidInput(f"{data} has no {', '.join(missing)}; give the folder of the Kodak images")
    loaded = {name: load_codec(name) for name in codecs}
    sheets.mkdir(parents=True, exist_ok=True)
    rows = []
    for image, (left, top) in CROPS.items():
        original = rd.load_image(files[image])
        here = np.s_[top : top + SIDE, left : left + SIDE]
        shown = []
        for rate in RATES:
            shown.append([(f"{image}, {rate:g} bpp", original[here])])
            for name, codec in loaded.items():
                file, setting = file_of_rate(codec, original, rate)
                decoded = np.asarray(codec.decompress(file).convert("RGB"))
                row = {
                    "image": image,
                    "rate": rate,
                    "codec": name,
                    "setting": setting,
                    "bpp": 8 * len(file) / (original.shape[0] * original.shape[1]),
                    "psnr": metrics.psnr(original, decoded),
                    "ms_ssim": metrics.ms_ssim(original, decoded),
                }
                rows.append(row)
                shown[-1].append((f"{name} {row['bpp']:.3f}, {row['psnr']:.2f} dB", decoded[here]))
        sheet(shown).save(sheets / f"{image}.png")
        print(sheets / f"{image}.png")
    return rows


def means(rows: list[dict[str, Any]], rate: float, codec: str) -> dict[str, float]:
    """Over the images."""
    own = [row for row in rows if row["rate"] == rate and row["codec"] == codec]
    return {key: sum(row[key] for row in own) / len(own) for key in ("bpp", "psnr", "ms_ssim")}


def main() -> int:
    parser = common.parser(__doc__, "crops.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the Kodak images")
    parser.add_argument("--sheets", type=Path, required=True, help="folder for the sheets")
    parser.add_argument("--codecs", type=common.names, default=CODECS, help=f"default: {','.join(CODECS)}")
    arguments: argparse.Namespace = parser.parse_args()
    rows = measure(arguments.data, arguments.codecs, arguments.sheets)
    common.write_json(common.target(arguments), {"environment": common.environment(), "rows": rows})
    table = [
        [f"{rate:g}", name, *(f"{value:.4f}" for value in means(rows, rate, name).values())]
        for rate in RATES
        for name in arguments.codecs
    ]
    print(common.table(["rate", "codec", "bpp", "PSNR", "MS-SSIM"], table))
    return 0


if __name__ == "__main__":
    common.run(main)
