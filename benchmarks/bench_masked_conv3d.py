"""One layer of the context model for training, 24 -> 24 channels, beside torch's conv3d, on one core.

Volume: 32 planes of 64 x 96, as the paper's model has on a Kodak image; forward, and backward to input and
weights. Only the 14 causal taps count as work. torch computes the 18 taps of the (2, 3, 3) box that holds
them, in its own and in channels-last layout. The ceiling is torch's matrix product of the same type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import common
import torch
import torch.nn.functional as F

from pycodec.ops import causal_mask

CHANNELS, TAPS = 24, 14
VOLUME = (32, 64, 96)
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FORMATS = {"conv3d": torch.contiguous_format, "conv3d channels last": torch.channels_last_3d}


def calls(dtype: torch.dtype, seed: int) -> dict[tuple[str, str], Callable[[], Any]]:
    """What is timed, by coder and direction."""
    torch.manual_seed(seed)
    x = torch.randn(1, CHANNELS, *VOLUME).to(dtype)
    grad = torch.randn_like(x)
    weight = (0.1 * torch.randn(CHANNELS, CHANNELS, 2, 3, 3)).to(dtype)
    ops = torch.ops.pycodec
    made: dict[tuple[str, str], Callable[[], Any]] = {
        ("pycodec", "forward"): lambda: ops.masked_conv3d(x, weight, None, True),
        ("pycodec", "backward"): lambda: (
            ops.masked_conv3d_input_gradient(grad, weight, True),
            ops.masked_conv3d_weight_gradient(x, grad, True),
        ),
    }
    masked = weight * causal_mask(True).to(dtype)
    for name, memory_format in FORMATS.items():
        padded = F.pad(x, (1, 1, 1, 1, 1, 0)).contiguous(memory_format=memory_format)
        kernel, g = (t.contiguous(memory_format=memory_format) for t in (masked, grad))

        def forward(padded: torch.Tensor = padded, kernel: torch.Tensor = kernel) -> torch.Tensor:
            return F.conv3d(padded, kernel)

        def backward(
            padded: torch.Tensor = padded, kernel: torch.Tensor = kernel, g: torch.Tensor = g
        ) -> Any:
            ones, zeros = (1, 1, 1), (0, 0, 0)
            return torch.ops.aten.convolution_backward(
                g, padded, kernel, None, ones, zeros, ones, False, zeros, 1, (True, True, False)
            )

        made[f"torch {name}", "forward"] = forward
        made[f"torch {name}", "backward"] = backward
    return made


def matmul_gflops(dtype: torch.dtype, repeats: int) -> float:
    a = torch.randn(1024, 1024).to(dtype)
    return 2 * 1024**3 / common.best_seconds(lambda: a @ a, repeats) / 1e9


@torch.no_grad()
def measure(repeats: int, seed: int) -> list[dict[str, Any]]:
    results = []
    for name, dtype in TYPES.items():
        ceiling = matmul_gflops(dtype, repeats)
        seconds = {key: common.best_seconds(call, repeats) for key, call in calls(dtype, seed).items()}
        for (coder, direction), taken in seconds.items():
            products = {"forward": 1, "backward": 2}[direction]
            positions = VOLUME[0] * VOLUME[1] * VOLUME[2]
            gflops = 2 * products * TAPS * CHANNELS**2 * positions / taken / 1e9
            results.append(
                {
                    "type": name,
                    "coder": coder,
                    "direction": direction,
                    "seconds": taken,
                    "gflops": gflops,
                    "share_of_matmul": gflops / ceiling,
                    "ratio": taken / seconds["pycodec", direction],
                }
            )
    return results


def main() -> int:
    parser = common.parser(__doc__, "masked_conv3d.json")
    parser.add_argument("--repeats", type=int, default=7, help="calls of which the best counts (default: 7)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = measure(arguments.repeats, arguments.seed)
    document = {
        "environment": common.environment(),
        "volume": [CHANNELS, *VOLUME],
        "seed": arguments.seed,
        "repeats": arguments.repeats,
        "results": results,
    }
    common.write_json(arguments.out, document)
    lines = [
        [
            f"{r['type']}, {r['direction']}",
            r["coder"],
            f"{1e3 * r['seconds']:.1f}",
            f"{r['gflops']:.0f}",
            f"{100 * r['share_of_matmul']:.0f} %",
            f"{r['ratio']:.2f}",
        ]
        for r in results
    ]
    print(common.table(["layer", "coder", "ms", "GFLOP/s", "of matmul", "x pycodec"], lines))
    return 0


if __name__ == "__main__":
    common.run(main)
