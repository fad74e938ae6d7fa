"""The codebook of the labeler: unit vectors, nearest by angle, none of them unused for long."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional as F

NEVER = 1 << 40  # batches since a new code was used


class Codebook(nn.Module):
    """Vectors of length 1, of which each input takes the nearest (paper, eq. 8, among unit vectors).

    Between unit vectors the nearest is the one of largest inner product, so that one matrix product of
    [positions, codes] finds it: no differences of [positions, codes, dimensions] are ever made.

    Dead codes are revived in training (`revive`): a code that no position of the last batches took becomes a
    position of the current one, drawn at random. All codes of a new codebook are dead, so that its first
    batch fills it. The draw is seeded by the number of the batch: it is the same again in a run that is
    resumed, and in every process of one that is spread over several, where the positions of all of them
    count.

    Args:
        codes: how many.
        dimensions: of each.
    """

    idle: Tensor
    batches: Tensor

    def __init__(self, codes: int, dimensions: int):
        super().__init__()
        self.vectors = nn.Parameter(F.normalize(torch.randn(codes, dimensions), dim=1))
        self.register_buffer("idle", torch.full((codes,), NEVER))
        self.register_buffer("batches", torch.tensor(0))

    def nearest(self, z: Tensor) -> Tensor:  # [..., dimensions], unit vectors -> [...] int64
        """Index of the code nearest to each vector."""
        return (z @ F.normalize(self.vectors, dim=1).T).argmax(-1)

    def lookup(self, indexes: Tensor) -> Tensor:  # [...] int64 -> [..., dimensions]
        """The unit vectors of codes; differentiable in the codebook."""
        return F.embedding(indexes, F.normalize(self.vectors, dim=1))

    @torch.no_grad()
    def revive(self, z: Tensor, patience: int) -> int:  # [..., dimensions], unit vectors
        """Replace codes that ``patience`` batches did not use by some of these vectors; returns how many.

        Call it before `nearest` of the same vectors, so that the revived are in use at once.
        """
        z = _of_all_processes(z.detach().float().flatten(0, -2))
        dead = (self.idle >= patience).nonzero()[:, 0]
        self.batches += 1
        generator = torch.Generator().manual_seed(int(self.batches))
        drawn = torch.randperm(len(z), generator=generator)
        drawn = drawn.repeat(-(-len(dead) // len(z)))[: len(dead)]  # a small batch fills several codes alike
        self.vectors[dead] = z[drawn.to(z.device)].to(self.vectors.dtype)
        self.idle[dead] = 0
        return len(dead)

    @torch.no_grad()
    def count(self, indexes: Tensor) -> None:
        """Take note of the codes that a batch used."""
        used = _of_all_processes(indexes.flatten())
        self.idle += 1
        self.idle[used] = 0


def _of_all_processes(x: Tensor) -> Tensor:  # [n, ...] -> [processes * n, ...]
    """The tensors of all processes of a data-parallel run, which have equal shapes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)
