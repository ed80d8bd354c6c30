"""How a checkpoint wants its images, and frames made ready for it natively. Imports neither torch nor transformers.

The constants are read from the checkpoint's image processor and checked: one that would do anything else than resize with
Pillow's bicubic filter to a multiple of patch x merge, divide by 255, normalise and cut into patches is refused, since the
native emitter would feed the model something that it has never seen. What the emitter gives equals `Qwen2VLImageProcessorPil`
to the last bit (tested).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vldac import _core
from vldac.errors import ConfigError, ModelError, nearest

PatchFormat = Literal["float32", "bfloat16", "uint8"]

PROCESSORS = (
    "Qwen2VLImageProcessor",
    "Qwen2VLImageProcessorFast",
    "Qwen2VLImageProcessorPil",
    "Qwen2_5_VLImageProcessor",
)
"""The image processors that do these steps and no others, by the names that checkpoints give."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSpec:
    """How a checkpoint wants its images; read from its image processor, never assumed."""

    patch_size: int
    merge_size: int
    temporal_patch_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    min_pixels: int
    max_pixels: int

    @property
    def factor(self) -> int:
        """Image sides are multiples of this many pixels."""
        return self.patch_size * self.merge_size


def image_spec(stored: Mapping[str, Any], *, where: str = "image processor") -> ImageSpec:
    """Return the constants that `known_processor`, an image processor's file or its `to_dict()` holds.

    Limits may be named min_pixels and max_pixels, or be in "size" (shortest_edge and longest_edge are pixel counts there).
    Raises ModelError where one is missing, and for a processor that does other things than the native emitter.
    """
    size = stored.get("size") or {}
    limits = {
        "min_pixels": stored.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels"),
        "max_pixels": stored.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels"),
    }
    names = ("patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std")
    constants: dict[str, Any] = {key: stored.get(key) for key in names} | limits
    missing = [key for key, value in constants.items() if value is None]
    if missing:
        raise ModelError(
            expected=f"{', '.join(constants)} in the image processor",
            got=f"no {', '.join(missing)}",
            where=where,
            do="use the image processor that belongs to the checkpoint",
        )
    _refuse_other_steps(stored, where)
    return ImageSpec(
        patch_size=int(constants["patch_size"]),
        merge_size=int(constants["merge_size"]),
        temporal_patch_size=int(constants["temporal_patch_size"]),
        mean=tuple(constants["image_mean"]),
        std=tuple(constants["image_std"]),
        min_pixels=int(constants["min_pixels"]),
        max_pixels=int(constants["max_pixels"]),
    )


def _refuse_other_steps(stored: Mapping[str, Any], where: str) -> None:
    """Raise ModelError unless the processor does what the emitter does. A step that is not named is Qwen2-VL's default."""
    factor = stored["patch_size"] * stored["merge_size"]
    sizes = {name: len(stored[name]) for name in ("image_mean", "image_std")}
    steps = {name: stored.get(name, True) for name in ("do_resize", "do_rescale", "do_normalize")}
    rescale = stored.get("rescale_factor", 1 / 255)
    checks = {
        f"an image processor among {', '.join(PROCESSORS)}": (
            stored.get("image_processor_type", PROCESSORS[0]) in PROCESSORS,
            stored.get("image_processor_type"),
        ),
        "patch x merge of 28 or 32 pixels": (factor in (28, 32), f"{stored['patch_size']} x {stored['merge_size']}"),
        "temporal_patch_size 2": (stored["temporal_patch_size"] == 2, stored["temporal_patch_size"]),
        "3 numbers in image_mean and image_std": (set(sizes.values()) == {3}, sizes),
        "numbers above 0 in image_std": (all(value > 0 for value in stored["image_std"]), stored["image_std"]),
        "do_resize, do_rescale and do_normalize true": (all(value is True for value in steps.values()), steps),
        "resample 3 (bicubic)": (stored.get("resample", 3) == 3, stored.get("resample")),
        "rescale_factor 1/255": (math.isclose(rescale, 1 / 255, rel_tol=1e-9), rescale),
    }
    for expected, (holds, got) in checks.items():
        if not holds:
            raise ModelError(
                expected=expected,
                got=str(got),
                where=where,
                do="use the image processor that belongs to a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint",
            )


def smart_resize(height: int, width: int, spec: ImageSpec) -> tuple[int, int]:
    """Return the (height, width) in pixels the model sees (Qwen2-VL's rule)."""
    if max(height, width) / min(height, width) > 200:
        raise ConfigError(
            expected="an image with an aspect ratio of at most 200",
            got=f"{width}x{height}",
            where="image preprocessing",
            do="choose another env.image_size",
        )
    factor = spec.factor
    new_height = round(height / factor) * factor
    new_width = round(width / factor) * factor
    if new_height * new_width > spec.max_pixels:
        beta = math.sqrt(height * width / spec.max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif new_height * new_width < spec.min_pixels:
        beta = math.sqrt(spec.min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return new_height, new_width


def patch_emitter(spec: ImageSpec, size: tuple[int, int], *, dtype: PatchFormat = "float32") -> _core.PatchEmitter:
    """Return the native emitter of frames of `size` (width, height) for a checkpoint.

    Its `emit` takes frames [N, height, width, 3] uint8 and returns patches [N * rows, columns]: as float32 or bfloat16 the
    `pixel_values` of the checkpoint's processor, columns 3 * temporal * patch * patch; as uint8 the bytes under them without
    the temporal copy, for `vldac.fold`. bfloat16 comes as a `DlpackArray`: `torch.from_dlpack(...)` makes a tensor of it without
    a copy. Raises ConfigError for an unknown dtype, an image that is too narrow, and an instruction set in VLDAC_ISA that this
    machine does not have.
    """
    formats = ("float32", "bfloat16", "uint8")
    if dtype not in formats:
        raise ConfigError(
            expected=f"a patch dtype among {', '.join(formats)}{nearest(dtype, formats)}",
            got=repr(dtype),
            where="patch_emitter",
            do="choose one of these",
        )
    _check_isa()
    width, height = size
    out_height, out_width = smart_resize(height, width, spec)
    return _core.PatchEmitter(
        patch=spec.patch_size,
        merge=spec.merge_size,
        temporal=spec.temporal_patch_size,
        mean=spec.mean,
        std=spec.std,
        width=width,
        height=height,
        out_width=out_width,
        out_height=out_height,
        format=dtype,
    )


def _check_isa() -> None:
    """The native code refuses the same; this names it as the user's mistake."""
    forced, tiers = os.environ.get("VLDAC_ISA", ""), _core.isa_tiers()
    if forced and forced not in tiers:
        raise ConfigError(
            expected=f"an instruction set that this machine runs: {', '.join(tiers)}",
            got=repr(forced),
            where="the environment variable VLDAC_ISA",
            do="unset it, or set it to one of these",
        )
