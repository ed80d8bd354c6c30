"""Do the Triton kernels compile for an H100 or H200, and what do they need? No GPU is used.

    python benchmarks/triton_aot.py [--out benchmarks/results/triton_aot.json]

One row per kernel and set of constants at the 7B and 2B shapes: registers, spilled bytes, shared memory, width of the loads,
tensor-core products. The row file holds the same numbers with commit and versions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from vldac.provenance import commit, versions

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (
    "registers",
    "spill_stores",
    "spill_loads",
    "shared",
    "warps",
    "vector_loads",
    "scalar_loads",
    "tensor_core_products",
)


def main(argv: list[str] | None = None) -> int:
    """Compile, print, write; exit code 1 if a kernel needs more shared memory than there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capability", type=int, default=90)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "triton_aot.json")
    arguments = parser.parse_args(argv)
    from vldac.kernels.triton_compile import SHARED_LIMIT, compile_all, describe_toolchain

    rows = compile_all(arguments.capability)
    print(f"{describe_toolchain()}, sm_{arguments.capability}")
    print(f"{'kernel':20} {'variant':30}" + "".join(f"{c.replace('_', ' '):>14.13}" for c in COLUMNS))
    for row in rows:
        print(f"{row.kernel:20} {row.variant:30}" + "".join(f"{getattr(row, c):>14}" for c in COLUMNS))
    arguments.out.write_text(
        json.dumps(
            {
                "benchmark": "triton_aot", "command": "python benchmarks/triton_aot.py", "commit": commit(ROOT),
                "versions": versions() | {"compiler": describe_toolchain()}, "capability": arguments.capability,
                "rows": [row.asdict() for row in rows],
            },
            indent=1,
        )
        + "\n"
    )  # fmt: skip
    return int(any(row.shared > SHARED_LIMIT for row in rows))


if __name__ == "__main__":
    sys.exit(main())
