"""Run one operation in a process of its own and print by how many bytes its peak of resident memory exceeds what it began with.

python peak_memory.py OPERATION BACKEND ROWS VOCAB HIDDEN
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import vldac.kernels as k


def status(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def run(operation: str, backend: str, rows: int, vocab: int, width: int) -> None:
    """`operation` at these sizes."""
    torch.manual_seed(0)
    trains = operation in ("linear_backward", "trainable_head", "fused")
    hidden = torch.randn(rows, width, requires_grad=trains)
    weight = torch.randn(vocab, width, requires_grad=operation == "trainable_head")
    target = torch.randint(vocab, (rows,))
    if operation == "eager":
        hidden.requires_grad_()
        (hidden @ weight.T).log_softmax(-1).gather(1, target[:, None]).sum().backward()
    elif operation == "fused":
        ones = torch.ones(rows)
        k.fused_linear_ppo_loss(hidden, weight, target, -ones, ones, torch.arange(rows), ones, backend=backend)[
            0
        ].backward()
    else:
        out = k.linear_logprob(hidden, weight, target, return_entropy=True, backend=backend)
        if trains:
            out.logprob.sum().backward()


def main(operation: str, backend: str, *sizes: str) -> None:
    """Warm up at a small size, so that threads and buffers of the library itself do not count; then measure."""
    torch.set_num_threads(1)
    run(operation, backend, 4, 64, 8)
    rows, vocab, width = map(int, sizes)
    inputs = 4 * width * (rows + vocab)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    run(operation, backend, rows, vocab, width)
    print(status("VmHWM") - before - inputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
