"""Row offsets beyond 2**31 elements, on the CPU without the memory: a sparse file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from tests.kernels.backends import ENTROPY_ERROR, LOGPROB_ERROR, Kernels, close, draw, naive_rows


def test_rows_that_begin_beyond_two_to_the_31_elements_are_read_where_they_are(kernels: Kernels) -> None:
    """Row 2 of a stride of 2**30 + 64 begins at 2**31 + 128: an int32 product of row and stride wraps."""
    rows, vocab, stride = 3, 100, 2**30 + 64
    size = (rows - 1) * stride + vocab
    with tempfile.TemporaryDirectory() as folder:
        if kernels.device.type == "cpu":
            path = Path(folder) / "sparse"
            with path.open("wb") as file:
                file.truncate(2 * size)
            storage = torch.from_file(str(path), shared=True, size=size, dtype=torch.bfloat16)
        else:
            storage = torch.empty(size, dtype=torch.bfloat16)
        logits = storage.as_strided((rows, vocab), (stride, 1))
        values = draw(rows, vocab, dtype=torch.bfloat16, scale=2.0)
        logits.copy_(values)
        target = torch.tensor([5, 50, 99])
        out = kernels.selective_log_softmax(logits, target, return_entropy=True)
        logprob, entropy, _ = naive_rows(values.double(), target)
        close(out.logprob, logprob, LOGPROB_ERROR[torch.bfloat16])
        close(out.entropy, entropy, ENTROPY_ERROR[torch.bfloat16])
        key = torch.arange(rows)
        drawn = kernels.sample_with_logprob(logits, seed=key, position=key)
        assert torch.equal(drawn.token, kernels.sample_with_logprob(values, seed=key, position=key).token)
