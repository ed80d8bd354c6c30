"""What only a GPU can show: no wait for the device, capture in a CUDA graph, allocations, offsets at the size of a real head."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import vldac.kernels
from tests.kernels.backends import Kernels, draw, draw_ids, naive_rows, tiers

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ON_GPU = [kernels for kernels in tiers() if kernels.device.type == "cuda"]


@pytest.fixture(params=ON_GPU, ids=[kernels.name for kernels in ON_GPU])
def gpu(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    with torch.device("cuda"):
        yield request.param


def inputs(rows: int = 64, width: int = 128, vocab: int = 1000) -> tuple[Tensor, Tensor, Tensor]:
    hidden = draw(rows, width, dtype=torch.bfloat16).requires_grad_()
    return hidden, draw(vocab, width, dtype=torch.bfloat16, scale=width**-0.5, seed=1), draw_ids(rows, vocab)


def update(kernels: Kernels, hidden: Tensor, weight: Tensor, target: Tensor, old: Tensor, steps: Tensor) -> Tensor:
    """Score, weigh and go back: what an update does with its rows. Triton has kernels for the head only."""
    logprob = kernels.linear_logprob(hidden, weight, target, return_entropy=True).logprob
    weights = torch.full_like(old, 1 / len(old))
    loss, _ = vldac.kernels.ppo_clip_loss(logprob, old, torch.ones_like(old), steps, weights, ratio_guard=10.0)
    (gradient,) = torch.autograd.grad(loss, hidden)
    return gradient


def test_nothing_waits_for_the_device(gpu: Kernels) -> None:
    hidden, weight, target = inputs()
    old, steps = torch.zeros(64), torch.arange(64)
    logits, key = draw(8, 1000), torch.arange(8)

    def work() -> None:
        update(gpu, hidden, weight, target, old, steps)
        gpu.sample_with_logprob(logits, seed=key, position=key)

    work()  # compiles
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        work()
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_a_captured_graph_replays_what_eager_computes(gpu: Kernels) -> None:
    hidden, weight, target = inputs()
    old, steps = torch.zeros(64), torch.arange(64)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            update(gpu, hidden, weight, target, old, steps)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = update(gpu, hidden, weight, target, old, steps)
    other = draw(64, 128, dtype=torch.bfloat16, seed=9)
    with torch.no_grad():
        hidden.copy_(other)
    graph.replay()
    assert torch.equal(captured, update(gpu, hidden, weight, target, old, steps))


def test_a_frozen_head_allocates_less_than_the_logits_and_less_than_a_copy_of_itself(gpu: Kernels) -> None:
    rows, width, vocab = 4096, 3584, 152_064
    hidden, weight, target = inputs(rows, width, vocab)
    torch.cuda.synchronize()
    start = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    gpu.linear_logprob(hidden, weight, target).logprob.sum().backward()
    extra = torch.cuda.max_memory_allocated() - start
    assert weight.grad is None
    if gpu.name == "torch":  # a chunk of 1,024 rows and eight copies of it at most: 4.8 GiB measured
        assert extra < 9 * 4 * 1024 * vocab
    else:
        assert extra < 4 * rows * vocab and extra < 4 * vocab * width


def test_rows_beyond_two_to_the_31_logits_are_right(gpu: Kernels) -> None:
    """14,200 rows of 152,064 logits: an int32 offset wraps in the last 77."""
    rows, vocab = 14_200, 152_064
    if torch.cuda.mem_get_info()[0] < 3 * 4 * rows * vocab:
        pytest.skip("needs 26 GiB of free GPU memory")
    target = draw_ids(rows, vocab)
    hidden, weight = draw(rows, 16, dtype=torch.bfloat16), draw(vocab, 16, dtype=torch.bfloat16, seed=1)
    logits = torch.mm(hidden, weight.T, out_dtype=torch.float32)
    last = slice(rows - 100, rows)
    logprob, entropy, _ = naive_rows(logits[last].double(), target[last])
    for out in (
        gpu.selective_log_softmax(logits, target, return_entropy=True),
        gpu.linear_logprob(hidden, weight, target, return_entropy=True, chunk_rows=rows),
    ):
        assert float((out.logprob[last] - logprob).abs().max()) < 1e-3
        assert float((out.entropy[last] - entropy).abs().max()) < 2e-3
