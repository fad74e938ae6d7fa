"""The codebook: the nearest code without a large intermediate, and dead codes that come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from pycodec_plugins.illm.codebook import Codebook


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def codebook(codes: int, dimensions: int) -> Codebook:
    torch.manual_seed(3)
    book = Codebook(codes, dimensions)
    book.vectors.data *= 1 + torch.rand(codes, 1)  # training does not keep the stored ones at length 1
    return book


class Largest(TorchFunctionMode):
    """Elements of the largest tensor that is made."""

    numel = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numel = max(self.numel, result.numel())
        return result


def test_the_nearest_code_is_that_of_all_distances() -> None:
    book, z = codebook(50, 8), unit(4, 6, 5, 8)
    codes = book.vectors.detach().double()
    codes = codes / codes.square().sum(1, keepdim=True).sqrt()
    distances = (z.double()[..., None, :] - codes).square().sum(-1)
    assert torch.equal(book.nearest(z), distances.argmin(-1))
    assert torch.allclose(book.lookup(book.nearest(z)).double(), codes[distances.argmin(-1)])


def test_no_intermediate_is_larger_than_positions_times_codes() -> None:
    book, z = codebook(64, 8), unit(300, 8)
    with Largest() as largest, torch.no_grad():
        book.nearest(z)
    assert largest.numel == 300 * 64


def test_a_new_codebook_is_filled_by_its_first_batch() -> None:
    book, z = codebook(20, 3), unit(5, 8, 3)
    assert book.revive(z, patience=10) == 20
    positions = z.flatten(0, 1)
    where = (book.vectors[:, None] == positions).all(-1)
    assert where.any(1).all() and where.sum() == 20  # every code is a position, no two the same one
    assert book.revive(z, patience=10) == 0


def test_codes_come_back_after_so_many_batches_without_use() -> None:
    book, z = codebook(6, 3), unit(40, 3)
    book.revive(z, patience=4)
    before = book.vectors.detach().clone()
    for batch in range(4):
        assert book.revive(z, patience=4) == 0, batch
        book.count(torch.tensor([[0, 2], [5, 0]]))
    assert book.revive(z, patience=4) == 3
    changed = (book.vectors != before).any(1)
    assert changed.tolist() == [False, True, False, True, True, False]
    assert (book.vectors[changed][:, None] == z).all(-1).any(1).all()
    # A code that came back has its time again.
    book.count(torch.tensor([0, 2, 5]))
    assert book.revive(z, patience=4) == 0


def test_what_comes_back_is_used_at_once() -> None:
    book, z = codebook(30, 4), unit(100, 4)
    book.vectors.data[:] = -z.mean(0)  # all alike: one of them takes everything
    book.revive(z, patience=2)
    assert len(book.nearest(z).unique()) == 30


def test_a_batch_smaller_than_the_codebook_fills_it_too() -> None:
    book, z = codebook(10, 3), unit(4, 3)
    book.revive(z, patience=1)
    assert (book.vectors[:, None] == z).all(-1).sum(0).tolist() in (
        [3, 3, 2, 2],
        *(
            [a, b, c, d]
            for a in (2, 3)
            for b in (2, 3)
            for c in (2, 3)
            for d in (2, 3)
            if a + b + c + d == 10
        ),
    )


def test_the_draw_depends_on_the_batch_number_alone() -> None:
    drawn = []
    for seed in (1, 2):
        book = codebook(10, 3)
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        book.revive(unit(30, 3), patience=1)
        assert torch.equal(torch.get_rng_state(), state)
        drawn.append(book.vectors.detach().clone())
    assert torch.equal(*drawn)
    book.idle[:] = 1
    book.revive(unit(30, 3), patience=1)
    assert not torch.equal(book.vectors, drawn[0])


def _process(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    book, z = codebook(10, 3), unit(40, 3)
    half = z.chunk(2)[rank]
    book.revive(half, patience=3)
    for _ in range(3):
        book.count(torch.tensor([1, 2]) + 4 * rank)
    book.revive(half, patience=3)
    torch.save(book.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_keep_one_codebook(tmp_path: Path) -> None:
    if not torch.distributed.is_available():
        pytest.skip("torch is built without torch.distributed")
    torch.multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    book, z = codebook(10, 3), unit(40, 3)
    book.revive(z, patience=3)
    for _ in range(3):
        book.count(torch.tensor([1, 2, 5, 6]))
    assert book.revive(z, patience=3) == 6
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(value, state[name]) for name, value in book.state_dict().items())
