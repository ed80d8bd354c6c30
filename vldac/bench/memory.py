"""Peak memory of one call, by the kernel's own counter: Linux keeps the most that was resident (VmHWM) and lets it be reset.

    python -m vldac.bench.memory CASE PROVIDER N V H THREADS     prints one JSON line

A process of its own per measurement: what one side's allocator keeps would hide the other's need.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def peak_extra_bytes(function: Callable[[], object]) -> int | None:
    """Run it once and return how far the resident memory rose above what it was; None where the system does not tell."""
    try:
        before = _resident("VmRSS")
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
        kept = function()
        peak = _resident("VmHWM")
    except OSError:
        return None
    del kept
    return max(0, peak - before)


def measure_apart(case: str, provider: str, sizes: dict[str, int], threads: int) -> int | None:
    """peak_extra_bytes of one provider of a case, in a new process."""
    words = [case, provider, json.dumps(sizes), str(threads)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "vldac.bench.memory", *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the memory measurement of {case} by {provider} failed:\n{done.stderr[-2000:]}")
    return None if (found := json.loads(done.stdout.splitlines()[-1])["bytes"]) is None else int(found)


def _resident(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"), re.M)
    if found is None:
        raise OSError(f"{_STATUS} has no {name}")
    return 1024 * int(found[1])


def _main(words: list[str]) -> None:
    import torch

    from vldac.bench.cases import CASES

    case, provider, sizes, threads = words
    torch.set_num_threads(int(threads))
    makers = CASES[case]
    # Libraries load and thread pools start at a small size first; only then are the inputs made and the peak forgotten.
    small = makers.build(makers.small)
    small.providers[provider]()
    problem = makers.build(json.loads(sizes))
    print(json.dumps({"bytes": peak_extra_bytes(problem.providers[provider])}))


if __name__ == "__main__":
    _main(sys.argv[1:])
