"""Checks of entropy models: probabilities in training, and streams that are exact, short and hard to fool."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pycodec.errors import CorruptStream, InvalidInput, PycodecError
from pycodec.testing import golden, samples
from pycodec.testing.checks import CheckFailure, check, require, skip
from pycodec.testing.probes import described, equal
from pycodec.testing.subject import Subject
from pycodec.testing.transform import require_refusal

SLACK, SLACK_BITS = 0.01, 64  # of a stream over its ideal code length
SHORT_SLACK_BITS = 128  # of a short one: head, check and states of pycodec.coding take up to 13 bytes
ALPHABET = 1024  # symbols to either side of 0 over which probabilities of an unbounded alphabet are summed
SMALLEST_SUM = 0.9  # of an unbounded alphabet within these
SUM_TOLERANCE = 1e-3
LENGTH_TOLERANCE = 1e-9  # of sums in another order
INFLUENCE_BITS = 1e-2  # a cost that changes by less does not depend on a value
REFERENCE_SYMBOLS = 600  # a reference may take its time, a large volume would take too much
POSITIONS = 24  # whose influence on one another is traced


def _volume(model: Any, height: int = 2, width: int = 3) -> Tensor:  # [1, C, height, width]
    return torch.from_numpy(samples.symbols(model, height, width)).float()[None]


def _quality(model: Any, count: int = 1) -> Tensor:  # [count]
    found = samples.qualities(model)
    return torch.tensor([found[i % len(found)] for i in range(1, count + 1)])


@check("entropy_model")
@torch.no_grad()
def bits_shape(subject: Subject) -> None:
    """bits() gives a finite cost of at least 0 for every value, symbols or noisy ones, at every quality."""
    m = subject.component
    for count, height, width in ((1, 1, 1), (2, 5, 7), (3, 1, 9)):
        context = torch.cat([_volume(m, height, width)] * count)
        for values in (context, context + samples.normal(*context.shape, scale=0.2)):
            found = m.bits(values, context, _quality(m, count))
            ok = isinstance(found, Tensor) and found.shape == values.shape
            require(
                ok and bool((found.isfinite() & (found >= -1e-4)).all()),
                f"bits of {tuple(values.shape)} gives "
                f"{described(found.numpy()) if ok else type(found).__name__}, expected finite costs of at "
                "least 0 of that shape; floor the probability before the logarithm",
            )


@check("entropy_model")
@torch.no_grad()
def probabilities_sum_to_one(subject: Subject) -> None:
    """Over all symbols, the probabilities that bits() stands for sum to one at every position."""
    m = subject.component
    low, high = getattr(m, "symbol_range", (-ALPHABET, ALPHABET))
    bounded = hasattr(m, "symbol_range") and low >= -ALPHABET and high <= ALPHABET
    alphabet = torch.arange(max(low, -ALPHABET), min(high, ALPHABET) + 1)
    context = _volume(m, 1, 1)
    for quality in samples.qualities(m)[::2]:
        total = torch.zeros(context.shape, dtype=torch.float64)
        for part in alphabet.split(128):
            values = part.float()[:, None, None, None].expand(-1, *context.shape[1:])
            bits = m.bits(values, context.expand_as(values), torch.full((len(part),), quality))
            total += (2.0 ** -bits.double()).sum(0)
        largest, smallest = float(total.max()), float(total.min())
        require(
            largest <= 1 + SUM_TOLERANCE,
            f"probabilities of {len(alphabet)} symbols sum to {largest:.4f} at quality {quality:g}, "
            "expected 1; normalise them: such a rate is below what any stream reaches",
        )
        if getattr(m, "side_information", False):
            continue  # the rest is the share of what the stream says besides
        wanted = 1 - SUM_TOLERANCE if bounded else SMALLEST_SUM
        require(
            smallest >= wanted,
            f"probabilities of {len(alphabet)} symbols sum to {smallest:.4f} at quality {quality:g}, "
            f"expected at least {wanted:g}; normalise them, or let symbol_range say which symbols are coded",
        )


@check("entropy_model")
@torch.no_grad()
def causality(subject: Subject) -> None:
    """No cost depends on its own value in the context, nor two costs on one another's: there is an order in
    which a decoder knows all it needs.
    """
    m = subject.component
    if getattr(m, "side_information", False):
        skip("its stream carries side information, so that costs may depend on every value")
    volume, quality = _volume(m), _quality(m)
    before = m.bits(volume, volume, quality).flatten()
    count = volume.numel()
    chosen = (
        torch.arange(count)[: POSITIONS // 2].tolist()
        + torch.arange(count)[POSITIONS // 2 :][-(POSITIONS // 2) :].tolist()
    )
    low, high = samples.ordinary_range(m)
    influences = {}  # position -> those whose cost changes with it
    for position in chosen:
        changed: set[int] = set()
        for value in (low, high):
            context = volume.clone()
            context.view(-1)[position] = value
            after = m.bits(volume, context, quality).flatten()
            changed |= {p for p in chosen if abs(float(after[p] - before[p])) > INFLUENCE_BITS}
        influences[position] = changed
        require(
            position not in changed,
            f"the cost of the symbol at {_place(position, volume)} changes with that symbol in the context, "
            "expected one that follows from symbols decoded before; mask the context's own position",
        )
    cycle = _cycle(influences)
    require(
        not cycle,
        f"the costs at {' and '.join(_place(p, volume) for p in cycle[:2])} depend on one another's symbols, "
        "expected an order in which each follows from symbols decoded before; mask the context's future",
    )


def _place(position: int, volume: Tensor) -> str:
    return str(tuple(int(i) for i in np.unravel_index(position, volume.shape[1:])))


def _cycle(influences: dict[int, set[int]]) -> list[int]:
    """Positions that remain when all that no other one influences are taken away, again and again."""
    left = dict(influences)
    while left:
        free = [p for p in left if not any(p in targets for targets in left.values())]
        if not free:
            return list(left)
        for p in free:
            del left[p]
    return []


@check("entropy_model")
def finite_gradients(subject: Subject) -> None:
    """The cost is differentiable, and its gradients are finite, for ordinary and far-off values."""
    m = copy.deepcopy(subject.component)
    if not isinstance(m, nn.Module):
        skip("not a torch module: it is not trained as it is")
    context = torch.cat([_volume(m)] * 2)
    low, high = samples.ordinary_range(m)
    for values in (
        context,
        (context + samples.normal(*context.shape)).clamp(low, high),
        torch.full_like(context, high),
        context * 0 + low,
    ):
        inputs = values.clone().requires_grad_(), context.clone().requires_grad_()
        bits = m.bits(*inputs, _quality(m, 2))
        require(
            bits.requires_grad,
            "bits gives a tensor without gradient, expected one to train with; leave detach() and "
            "no_grad() out",
        )
        bits.sum().backward()
        for name, tensor in (("the values", inputs[0]), ("the context", inputs[1]), *m.named_parameters()):
            require(
                tensor.grad is None or bool(tensor.grad.isfinite().all()),
                f"the gradient of bits in {name} is infinite or NaN, expected a finite one; floor the "
                "probability before the logarithm, and bound scales",
            )
            tensor.grad = None


@check("entropy_model")
@torch.no_grad()
def batch_invariance(subject: Subject) -> None:
    """Each latent of a batch costs what it costs alone, at its own quality."""
    m = subject.component
    batch = torch.from_numpy(np.stack([samples.symbols(m, 4, 5, seed) for seed in range(3)])).float()
    quality = _quality(m, 3)
    together = m.bits(batch, batch, quality)
    for i in range(3):
        alone = m.bits(batch[i : i + 1], batch[i : i + 1], quality[i : i + 1])[0]
        require(
            equal(alone.numpy(), together[i].numpy()),
            f"latent {i} of a batch costs {together[i].sum():.6g} bits, expected the {alone.sum():.6g} it "
            "costs alone; compute nothing across the batch, and use each latent's own quality",
        )


@check("entropy_model")
def lossless(subject: Subject) -> None:
    """decode(encode(symbols)) gives the symbols: random, constant, extreme, a single one and none."""
    m = subject.component
    for what, given in samples.volumes(m).items():
        for step in samples.quality_steps(m):
            before = given.copy()
            data = m.encode(given, step)
            require(
                isinstance(data, bytes),
                f"encode of {what} gives {type(data).__name__}, expected bytes; convert with bytes()",
            )
            require(
                np.array_equal(before, given),
                f"encode changes its input, {what}, expected it left as it was; work on a copy",
            )
            found = m.decode(data, given.shape, step)
            require(
                isinstance(found, np.ndarray) and found.dtype.kind in "iu" and np.array_equal(found, given),
                f"{what} {given.shape} at quality step {step} decode to {described(found)}, expected "
                f"{described(given)}; encoder and decoder must compute the same probabilities",
            )
            require(
                m.encode(given, step) == data,
                f"encode gives other bytes for {what} the second time, expected the same; keep no state "
                "between calls",
            )


@check("entropy_model")
def integer_types(subject: Subject) -> None:
    """Symbols of every integer type and memory order are coded to the same bytes."""
    m = subject.component
    given, step = samples.symbols(m, 4, 6), samples.quality_steps(m)[0]
    data = m.encode(given, step)
    for what, other in (
        ("int64", given.astype(np.int64)),
        ("int16", given.astype(np.int16)),
        ("columns first in memory", np.asfortranarray(given)),
    ):
        require(
            m.encode(other, step) == data,
            f"symbols as {what} are coded to other bytes than as int32, expected the same; convert with "
            "numpy.ascontiguousarray(symbols, numpy.int32)",
        )


@check("entropy_model")
def code_length(subject: Subject) -> None:
    """Streams are within 1 % and 64 bits of code_length_bits (short ones 128 bits), at every quality."""
    m = subject.component
    for what, given in {**samples.volumes(m), "many symbols": samples.symbols(m, 48, 64, 9)}.items():
        slack = SLACK_BITS if what == "many symbols" else SHORT_SLACK_BITS
        for step in samples.quality_steps(m):
            ideal, bits = m.code_length_bits(given, step), 8 * len(m.encode(given, step))
            require(
                bits <= (1 + SLACK) * ideal + slack and ideal <= (1 + SLACK) * bits + slack,
                f"{what} {given.shape} at quality step {step} take {bits} bits where code_length_bits says "
                f"{ideal:.1f}, expected at most 1 % and {slack} bits more, and not less; code with the "
                "tables that code_length_bits counts",
            )


@check("entropy_model")
def code_lengths(subject: Subject) -> None:
    """Where it says what each symbol costs, no cost is negative and they sum to code_length_bits."""
    m = subject.component
    if not hasattr(m, "code_lengths"):
        skip("offers no code_lengths")
    for what, given in samples.volumes(m).items():
        for step in samples.quality_steps(m):
            lengths, ideal = m.code_lengths(given, step), m.code_length_bits(given, step)
            ok = isinstance(lengths, np.ndarray) and lengths.dtype == np.float64
            require(
                ok and lengths.shape == given.shape and bool((lengths >= 0).all()),
                f"code_lengths of {what} gives {described(lengths)}, expected float64 {given.shape} of at "
                "least 0: the bits of each symbol",
            )
            require(
                abs(float(lengths.sum()) - ideal) <= SUM_TOLERANCE + LENGTH_TOLERANCE * ideal,
                f"code_lengths of {what} at quality step {step} sum to {lengths.sum():.3f} bits, expected "
                f"the {ideal:.3f} of code_length_bits; count both under the same tables",
            )


@check("entropy_model")
def chosen(subject: Subject) -> None:
    """Where it chooses symbols by what they do to the image (`pycodec.types.ChoosingEntropyModel`), they are
    what was given or neighbours of it, their stream is that of encode, and no change is made at any price.
    """
    m = subject.component
    if not hasattr(m, "encode_chosen"):
        skip("offers no encode_chosen")
    for what, given in samples.volumes(m).items():
        for step in samples.quality_steps(m):
            slopes = np.random.default_rng(step).integers(-(2**16), 2**16, given.shape, np.int32)
            free, dear = np.zeros(len(given), np.int32), np.full(len(given), 2**30, np.int32)
            found, data = m.encode_chosen(given, step, slopes, free)
            near = isinstance(found, np.ndarray) and found.dtype == np.int32 and found.shape == given.shape
            require(
                near and bool((np.abs(found - given) <= 1).all()),
                f"encode_chosen of {what} chooses {described(found)}, expected int32 {given.shape} that are "
                "the given symbols or neighbours of them",
            )
            require(
                data == m.encode(found, step),
                f"encode_chosen of {what} at quality step {step} gives another stream than the "
                "expected one, encode's of the symbols it chose; let both be of the same symbols",
            )
            kept, _ = m.encode_chosen(given, step, np.zeros_like(slopes), dear)
            require(
                equal(kept, given),
                f"encode_chosen of {what} changes symbols where the image loses more than bits are worth, "
                "expected none; weigh slopes and curvatures against bits",
            )


@check("entropy_model")
def wrong_input(subject: Subject) -> None:
    """Symbols of another type, shape or range are refused, and so are shapes that are none."""
    m = subject.component
    given, step = samples.symbols(m, 3, 4), samples.quality_steps(m)[0]
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("encode of float symbols", lambda: m.encode(given + 0.25, step)),
        ("encode of symbols without planes", lambda: m.encode(given[0], step)),
        ("decode with the shape (3, 4)", lambda: m.decode(m.encode(given, step), given.shape[1:], step)),
    ]
    if hasattr(m, "channels"):
        more = np.concatenate([given, given[:1]])
        cases.append((f"encode of {len(more)} planes", lambda: m.encode(more, step)))
    if hasattr(m, "symbol_range"):
        for outside in (m.symbol_range[0] - 1, m.symbol_range[1] + 1):
            cases.append(
                (f"encode of the symbol {outside}", partial(m.encode, np.full_like(given, outside), step))
            )
    for what, call in cases:
        require_refusal(what, call)
    if not hasattr(m, "symbol_range"):
        far = np.full_like(given, 10_000)
        try:
            found = m.decode(m.encode(far, step), far.shape, step)
        except (InvalidInput, ValueError):
            return
        require(
            np.array_equal(found, far),
            f"the symbol 10000 decodes to {found.flat[0]}, expected itself or an error; refuse what is out "
            "of range, and let symbol_range say which symbols are coded",
        )


@check("entropy_model")
def corrupt_streams(subject: Subject) -> None:
    """Every truncation and 200 flipped bits end in CorruptStream, or in symbols of the right shape."""
    m = subject.component
    given, step = samples.symbols(m, 4, 5), samples.quality_steps(m)[1]
    for what, data in samples.damaged(m.encode(given, step)):
        try:
            found = m.decode(data, given.shape, step)
        except CorruptStream:
            continue
        except Exception as error:
            raise CheckFailure(
                f"a stream {what} raises {type(error).__name__} ({error}), expected CorruptStream; check "
                "lengths and values while decoding, and raise pycodec.errors.CorruptStream"
            ) from error
        require(
            isinstance(found, np.ndarray) and found.shape == given.shape and found.dtype.kind in "iu",
            f"a stream {what} decodes to {described(found)}, expected CorruptStream or integers "
            f"{given.shape}; check the length of the data",
        )


@check("entropy_model")
def equal_to_reference(subject: Subject) -> None:
    """Where it offers a reference, both write the same bytes and read one another's."""
    m = subject.component
    if not hasattr(m, "reference"):
        skip("offers no reference")
    plain, step = m.reference(), samples.quality_steps(m)[1]
    for what, given in samples.volumes(m).items():
        if given.size > REFERENCE_SYMBOLS:
            continue
        data = m.encode(given, step)
        found = plain.encode(given, step)
        require(
            found == data,
            f"the reference codes {what} to {described(found)}, expected the {described(data)} of the "
            "component; one of the two breaks the rule of the stream",
        )
        back = plain.decode(data, given.shape, step)
        require(
            np.array_equal(back, given),
            f"the reference decodes {what} to {described(back)}, expected {described(given)}; one of the two "
            "breaks the rule of the stream",
        )


@check("entropy_model")
def golden_streams(subject: Subject) -> None:
    """Streams written once, in a folder the caller names, are still written and decoded the same."""
    m = subject.component
    if hasattr(m, "freeze"):
        skip("its integers are made from untrained weights here; its codec has a golden file")
    given, step = golden.symbols(m), samples.quality_steps(m)[1]
    data = m.encode(given, step)
    stored = golden.stored(subject, data)
    try:
        found = m.decode(stored, given.shape, step)
    except PycodecError as error:
        raise CheckFailure(f"the golden stream does not decode ({error}); {golden.ADVICE}") from error
    require(np.array_equal(found, given), f"the golden stream decodes to other symbols; {golden.ADVICE}")
    require(
        stored == data,
        f"found {described(data)}, expected the {described(stored)} of the golden stream; {golden.ADVICE}",
    )
