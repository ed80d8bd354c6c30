"""Compile the Triton kernels ahead of time for a GPU that is not there, and read what the assembler says about them.

The tier runs on tensors of the meta device, its launches are written down (`triton_launch.recording`), and each becomes a binary: so
what is compiled is what is launched, with the same types, constants and alignments. Needs triton, no GPU; not in interpreter mode.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from vldac.kernels.triton_launch import Launch, is_interpreting, recording, version

from vldac.kernels import triton_decoder_tier, triton_fused_tier, triton_tier

SHAPES = {"7B": (3584, 152064), "2B": (1536, 151936)}
"""(hidden, vocabulary) of Qwen2-VL"""
DECODERS = {"7B": (18944, 28, 4, 128), "2B": (8960, 12, 2, 128)}
"""(intermediate, heads, heads of keys, width of a head) of the same"""
SHARED_LIMIT = 227 * 1024
"""bytes of shared memory that one program may use on compute capability 9.0"""

_POINTERS = {
    torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.int64: "*i64", torch.int32: "*i32",
    torch.bool: "*i1",
}  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """One compiled kernel. Bytes, except for the counts."""

    kernel: str
    variant: str
    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    shared: int
    cubin: int
    vector_loads: int
    """128-bit loads from global memory in the assembly (cp.async included)"""
    scalar_loads: int
    """loads of one element of at most 32 bits"""
    tensor_core_products: int
    """wgmma or mma instructions"""
    warps: int

    def asdict(self) -> dict[str, Any]:
        """As one row of a table."""
        return asdict(self)


def recorded_launches() -> list[tuple[str, Launch]]:
    """(variant, launch) of every kernel at the shapes of SHAPES, bfloat16 and float32; each kernel and set of constants once."""
    found: dict[str, tuple[str, Launch]] = {}
    for name, (width, size) in SHAPES.items():
        other = {"is_bent": True} if name == "7B" else {"dtype": torch.float32}
        for options in ({}, other):
            with recording() as launches:
                _run_everything(width, size, **options)
                _run_decoder(width, *DECODERS[name], torch.float32 if "dtype" in options else torch.bfloat16)
            for launch in launches:
                label = name + (", column bias, soft-cap" if "is_bent" in options else ", float32" if options else "")
                found.setdefault(repr(_describe(launch)), (label, launch))
    return list(found.values())


def compile_all(capability: int = 90) -> list[Compiled]:
    """Compile every recorded launch for a CUDA compute capability."""
    if is_interpreting():
        raise RuntimeError("compile_all: the kernels were imported for the interpreter (TRITON_INTERPRET is set)")
    return [compile_launch(launch, variant, capability) for variant, launch in recorded_launches()]


def compile_launch(launch: Launch, variant: str, capability: int = 90) -> Compiled:
    """Compile one recorded launch to a binary, and assemble its PTX once more for the assembler's report."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, constants, attributes = _describe(launch)[1:]
    source = ASTSource(fn=launch.kernel, signature=signature, constexprs=constants, attrs=attributes)
    options = {"num_warps": launch.num_warps, "num_stages": launch.num_stages}
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    ptx = binary.asm["ptx"]
    report = _assemble(ptx, Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas")
    return Compiled(
        kernel=launch.kernel.__name__, variant=variant, shared=binary.metadata.shared, cubin=len(binary.asm["cubin"]),
        vector_loads=len(re.findall(r"ld\.global\S*\.v4\.b32|ld\.global\S*\.v2\.b64|cp\.async\.c[ag]\S* .*0x10", ptx)),
        scalar_loads=len(re.findall(r"ld\.global(?!\S*\.v[24])\S*\.b(?:8|16|32)\b", ptx)),
        tensor_core_products=len(re.findall(r"wgmma\.mma_async|\bmma\.sync", ptx)), warps=launch.num_warps, **report,
    )  # fmt: skip


def describe_toolchain() -> str:
    """Version of the Triton that compiled."""
    found = version()
    return "none" if found is None else f"triton {found[0]}.{found[1]}"


def _run_everything(width: int, size: int, *, is_bent: bool = False, dtype: torch.dtype = torch.bfloat16) -> None:
    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    rows, batch, softcap = 4096, 64, 30.0 if is_bent else 0.0
    hidden, weight = empty(rows, width, dtype=dtype), empty(size, width, dtype=dtype)
    target, vector, temperature = empty(rows, dtype=torch.int64), empty(rows), empty(rows if is_bent else 1)
    bias = empty(size) if is_bent else None
    head = (hidden, weight, target, bias, temperature, softcap, -100)
    for needs_gradient in (False, True):
        triton_tier.linear_logprob(*head, needs_gradient=needs_gradient, chunk_rows=0, batch_invariant=False)
    triton_fused_tier.linear_logprob(*head, needs_gradient=False, chunk_rows=0, batch_invariant=False)
    for entropy_gradient in (None, vector):
        triton_tier.linear_logprob_backward(
            vector,
            entropy_gradient,
            *head,
            vector,
            vector,
            needs_hidden=True,
            needs_weight=True,
            needs_bias=True,
            chunk_rows=0,
        )
    logits = empty(rows, size, dtype=dtype)
    triton_tier.selective_log_softmax(logits, target, bias, temperature, -100)
    triton_tier.selective_log_softmax_backward(
        vector, vector, logits, target, bias, temperature, -100, vector, vector, inplace=True
    )
    ids = empty(batch, dtype=torch.int64)
    for logits_dtype in (torch.float32, torch.bfloat16):
        triton_tier.sample(
            empty(batch, size, dtype=logits_dtype),
            bias,
            empty(1),
            None,
            None,
            0.0,
            ids,
            ids,
            empty(batch, dtype=torch.bool),
        )
    steps, cut = empty(256, 64), empty(256, 64, dtype=torch.bool)
    triton_tier.gae(steps, steps, empty(64), cut, cut, steps if is_bent else None, None, 0.99, 0.95)
    flat, flat_cut = empty(16384), empty(16384, dtype=torch.bool)
    triton_tier.gae(flat, flat, empty(64), flat_cut, flat_cut, None, empty(65, dtype=torch.int64), 0.99, 0.95)


def _run_decoder(width: int, inner: int, heads: int, kv_heads: int, head_width: int, dtype: torch.dtype) -> None:
    def empty(*shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    rows, tier = 4096, triton_decoder_tier
    x, weight, inverse = empty(rows, width), empty(width), empty(rows, dtype=torch.float32)
    tier.rms_norm(x, weight, 1e-6)
    tier.rms_norm_backward(x, x, weight, inverse, False)
    gate = empty(rows, inner)
    tier.swiglu(gate, gate)
    tier.swiglu_backward(gate, gate, gate)
    query = empty(rows, heads, head_width)
    for is_inverse in (False, True):
        tier.rotary(query, empty(rows, head_width // 2), empty(rows, head_width // 2), is_inverse)
    head = empty(rows * heads, head_width)  # Qwen3's norm of queries
    tier.rms_norm(head, empty(head_width), 1e-6)
    slots, capacity, prefix = 64, 512, 320
    cache, ids = empty(slots, capacity, kv_heads, head_width), empty(slots, dtype=torch.int64)
    for shared in (empty(prefix, kv_heads, head_width), None):
        tier.slot_attention(empty(slots, heads, head_width), cache, cache, ids, ids, shared, shared, head_width**-0.5)


def _describe(launch: Launch) -> tuple[str, dict[str, str], dict[str, Any], dict[tuple[int, ...], list[Any]]]:
    """(kernel, signature, constants, attributes) as Triton's own specialisation makes them of the arguments."""
    names = launch.kernel.arg_names
    signature: dict[str, str] = {}
    constants: dict[str, Any] = dict(launch.constants)
    attributes: dict[tuple[int, ...], list[Any]] = {}
    for place, name in enumerate(names):
        if name in launch.constants:
            signature[name] = "constexpr"
            continue
        value = launch.arguments[place]
        if isinstance(value, torch.Tensor):
            signature[name] = _POINTERS[value.dtype]
            # torch's allocator aligns to 512 bytes; slices of a chunk start at multiples of 128 rows.
            attributes[(place,)] = [["tt.divisibility", 16]]
        elif value is None or (isinstance(value, int) and value == 1):
            signature[name], constants[name] = "constexpr", value
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
    return launch.kernel.__name__, signature, constants, attributes


def _assemble(ptx: str, ptxas: Path) -> dict[str, int]:
    """Registers and spills by `ptxas -v`."""
    target = re.search(r"\.target\s+(\w+)", ptx)
    assert target is not None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [str(ptxas), "-v", f"--gpu-name={target[1]}", str(source), "-o", str(Path(folder) / "kernel.cubin")]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    frame = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", report)
    registers = re.search(r"Used (\d+) registers", report)
    assert frame is not None and registers is not None, report
    return {
        "stack": int(frame[1]), "spill_stores": int(frame[2]), "spill_loads": int(frame[3]), "registers": int(registers[1]),
    }  # fmt: skip
