# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernels of the sampler without truncation: Gumbel-max over vocabulary splits, merged in a fixed order.

The noise is that of `reference.counter_uniform`: SplitMix64 of (seed, position, column), so a row's sample depends neither on its
neighbours nor on the launch. Importing this file needs triton.
"""

import triton
import triton.language as tl
from vldac.kernels.triton_rows import add_block, merge_partials, scaled_columns


@triton.jit
def mix(x):
    """SplitMix64's finaliser on uint64."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@triton.jit
def exponential(seed, position, columns):
    """E = -log(u) in fp32, u = (53 random bits + 1/2) / 2^53, exact to a few ulp at both ends: small E decide who is sampled."""
    golden = tl.full([], 0x9E3779B97F4A7C15, tl.uint64)
    row = mix(mix(seed.to(tl.uint64) + golden) + (position.to(tl.uint64) + 1) * golden)
    bits = mix(row + (columns.to(tl.uint64) + 1) * golden) >> 11
    rest = 0x1FFFFFFFFFFFFF - bits
    u = (bits.to(tl.float32) + 0.5) * 1.1102230246251565e-16
    v = (rest.to(tl.float32) + 0.5) * 1.1102230246251565e-16  # 1 - u
    w = 1.0 - v
    near = tl.where(w == 1.0, v, tl.log(tl.where(w == 1.0, 0.5, w)) * v / tl.where(w == 1.0, 1.0, w - 1.0))
    return tl.where(bits < rest, -tl.log(u), near)


@triton.jit
def sample_split(
    logits_ptr, logits_stride, bias_ptr, temperature_ptr, temperature_stride, seed_ptr, position_ptr, greedy_ptr,
    partial_ptr, index_ptr, num_splits, size: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One split of one row: (max, sum, moment, best perturbed logit, its logit) into partial [B, splits, 5], its column."""
    row = tl.program_id(0).to(tl.int64)
    split = tl.program_id(1)
    columns = split * BLOCK + tl.arange(0, BLOCK)
    inverse = 1.0 / tl.load(temperature_ptr + row * temperature_stride)
    z, _ = scaled_columns(logits_ptr + row * logits_stride, bias_ptr, columns, size, 0.0, inverse, False)
    largest, total, moment = add_block(-float("inf"), 0.0, 0.0, z, 0)
    noise = -tl.log(exponential(tl.load(seed_ptr + row), tl.load(position_ptr + row), columns))
    perturbed = z + tl.where(tl.load(greedy_ptr + row) != 0, 0.0, noise)
    place = tl.argmax(perturbed, 0)
    is_best = tl.arange(0, BLOCK) == place
    out = row * num_splits + split
    tl.store(partial_ptr + out * 5, largest)
    tl.store(partial_ptr + out * 5 + 1, total)
    tl.store(partial_ptr + out * 5 + 2, moment)
    tl.store(partial_ptr + out * 5 + 3, tl.sum(tl.where(is_best, perturbed, 0.0), 0))
    tl.store(partial_ptr + out * 5 + 4, tl.sum(tl.where(is_best, z, 0.0), 0))
    tl.store(index_ptr + out, split * BLOCK + place)


@triton.jit
def sample_merge(
    partial_ptr, index_ptr, num_splits, token_ptr, logprob_ptr, processed_ptr, entropy_ptr, valid_ptr, SPLITS: tl.constexpr
):  # fmt: skip
    """Merge the splits of one row; SPLITS is a power of two >= num_splits. Ties go to the lowest column."""
    row = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, SPLITS)
    is_inside = split < num_splits
    out = row * num_splits + split
    largest, total, moment = merge_partials(
        tl.load(partial_ptr + out * 5, mask=is_inside, other=-float("inf")),
        tl.load(partial_ptr + out * 5 + 1, mask=is_inside, other=0.0),
        tl.load(partial_ptr + out * 5 + 2, mask=is_inside, other=0.0),
    )
    perturbed = tl.load(partial_ptr + out * 5 + 3, mask=is_inside, other=-float("inf"))
    is_best = split == tl.argmax(perturbed, 0)
    chosen = tl.sum(tl.where(is_best, tl.load(partial_ptr + out * 5 + 4, mask=is_inside, other=0.0), 0.0), 0)
    column = tl.sum(tl.where(is_best, tl.load(index_ptr + out, mask=is_inside, other=0), 0), 0)
    is_valid = (total == total) & (total > 0.0)
    log_total = tl.log(total)
    logprob = tl.where(is_valid, chosen - largest - log_total, float("nan"))
    entropy = log_total - moment / total
    entropy = tl.where(entropy < 0.0, 0.0, entropy)
    tl.store(token_ptr + row, tl.where(is_valid, column, 0).to(tl.int64))
    tl.store(logprob_ptr + row, logprob)
    tl.store(processed_ptr + row, logprob)
    tl.store(entropy_ptr + row, tl.where(is_valid, entropy, float("nan")))
    tl.store(valid_ptr + row, is_valid)
