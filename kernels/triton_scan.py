# mypy: ignore-errors
# Triton compiles these functions; their arguments have no Python types.
"""Triton kernel of generalised advantage estimation: a reversed associative scan over (delta, decay) pairs. Needs triton."""

import triton
import triton.language as tl


@triton.jit
def compose(later_sum, later_decay, sum_, decay):
    """The pair of an earlier step applied to what the later steps gave; a decay of 0 cuts, whatever lies behind."""
    is_cut = decay == 0.0
    return tl.where(is_cut, sum_, sum_ + decay * later_sum), tl.where(is_cut, 0.0, decay * later_decay)


@triton.jit
def advantage_scan(
    reward_ptr, value_ptr, bootstrap_ptr, terminated_ptr, truncated_ptr, final_ptr, following_ptr, is_last_ptr,
    advantage_ptr, returns_ptr, steps, columns, gamma, decay, BLOCK_T: tl.constexpr, BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Advantage and returns [steps, columns] of BLOCK_E columns, blocks of BLOCK_T steps from the end; decay is gamma lam.

    following_ptr and is_last_ptr [steps] are given for one flat column of segments: the value after each step (the segment's
    bootstrap at its last one) and where segments end. Else bootstrap_ptr [columns] follows the last step.
    """
    column = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    in_columns = column < columns
    carry = tl.zeros([BLOCK_E], tl.float32)
    start = tl.cdiv(steps, BLOCK_T) * BLOCK_T - BLOCK_T
    while start >= 0:
        step = start + tl.arange(0, BLOCK_T)
        is_inside = (step < steps)[:, None] & in_columns[None, :]
        place = step.to(tl.int64)[:, None] * columns + column[None, :]
        value = tl.load(value_ptr + place, mask=is_inside, other=0.0)
        reward = tl.load(reward_ptr + place, mask=is_inside, other=0.0)
        terminated = tl.load(terminated_ptr + place, mask=is_inside, other=0) != 0
        truncated = tl.load(truncated_ptr + place, mask=is_inside, other=0) != 0
        is_cut = terminated | truncated
        if following_ptr is not None:
            ahead = tl.load(following_ptr + place, mask=is_inside, other=0.0)
            is_cut = is_cut | (tl.load(is_last_ptr + place, mask=is_inside, other=0) != 0)
        else:
            is_end = (step == steps - 1)[:, None] & in_columns[None, :]
            ahead = tl.load(value_ptr + place + columns, mask=is_inside & (step < steps - 1)[:, None], other=0.0)
            last = tl.load(bootstrap_ptr + column[None, :] + step[:, None] * 0, mask=is_end, other=0.0)
            ahead = tl.where(is_end, last, ahead)
            is_cut = is_cut | is_end
        at_cut = 0.0
        if final_ptr is not None:
            at_cut = tl.load(final_ptr + place, mask=is_inside, other=0.0)
        ahead = tl.where(terminated, 0.0, tl.where(truncated, at_cut, ahead))
        delta = tl.where(is_inside, reward + gamma * ahead - value, 0.0)
        # Steps past the end hand the carry on unchanged, so a ragged last block needs no care.
        weight = tl.where(is_inside, tl.where(is_cut, 0.0, decay), 1.0)
        sums, weights = tl.associative_scan((delta, weight), 0, compose, reverse=True)
        advantage = tl.where(weights == 0.0, sums, sums + weights * carry[None, :])
        tl.store(advantage_ptr + place, advantage, mask=is_inside)
        tl.store(returns_ptr + place, advantage + value, mask=is_inside)
        carry = tl.sum(tl.where((step == start)[:, None], advantage, 0.0), 0)
        start -= BLOCK_T
