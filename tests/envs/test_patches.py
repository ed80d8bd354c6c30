"""Frames become model inputs natively, to the last bit as Pillow and the checkpoint's own image processor make them.

Pillow 13 changed the order of its two passes for some sizes, and with it the pixels; the core follows it. Beside an older Pillow
those sizes are left out here.
"""

from __future__ import annotations

import threading
from typing import Any, Literal

import hypothesis
import numpy as np
import PIL
import pytest
import torch
from hypothesis import strategies as st
from PIL import Image

from vldac import _core
from vldac.errors import ConfigError, ModelError
from vldac.known import known_processor
from vldac.vision import ImageSpec, image_spec, patch_emitter, smart_resize

QWEN2, QWEN2_5, QWEN3 = "Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"
SIZES = ((80, 60), (84, 56), (300, 300), (224, 224), (448, 448), (33, 47), (61, 500), (701, 29), (5, 7), (640, 480))
Dtype = Literal["float32", "bfloat16", "uint8"]


@pytest.fixture(params=_core.isa_tiers())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every instruction set that this machine runs."""
    monkeypatch.setenv("VLDAC_ISA", request.param)
    return str(request.param)


def has_pillows_order(width: int, height: int, new_width: int, new_height: int) -> bool:
    """Whether the installed Pillow passes over an image of this size as Pillow 13 does."""
    is_vertical_first = height > new_height and height - new_height > 2 * (width - new_width)
    return int(PIL.__version__.split(".")[0]) >= 13 or not is_vertical_first or width == new_width


def pictures(width: int, height: int, *, seed: int = 0) -> np.ndarray:
    """[3, height, width, 3]: noise, black and white (which overshoots), and a gradient."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    extreme = rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    return np.stack([noise, extreme, ramp])


def by_pillow(images: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(i).resize((width, height), Image.Resampling.BICUBIC)) for i in images])


def by_processor(images: np.ndarray, constants: dict[str, Any]) -> tuple[np.ndarray, list[list[int]]]:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(**constants)
    out = processor(images=list(images), return_tensors="np", input_data_format="channels_last")
    return out["pixel_values"], out["image_grid_thw"].tolist()


def emit(spec: ImageSpec, images: np.ndarray, dtype: Dtype) -> torch.Tensor:
    out = patch_emitter(spec, (images.shape[2], images.shape[1]), dtype=dtype).emit(images)
    return torch.from_dlpack(out)


# -- the resize -------------------------------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(0, 99)
)
@hypothesis.settings(
    max_examples=150, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_resizing_gives_pillows_bytes_for_any_sizes(
    isa: str, width: int, height: int, new_width: int, new_height: int, seed: int
) -> None:
    hypothesis.assume(has_pillows_order(width, height, new_width, new_height))
    images = pictures(width, height, seed=seed)
    ours = _core.resize_bicubic(images, new_width, new_height)
    assert np.array_equal(ours, by_pillow(images, new_width, new_height))


@pytest.mark.parametrize(
    ("size", "new"),
    [
        ((80, 60), (84, 56)), ((300, 300), (308, 308)), ((1, 1), (64, 64)), ((1500, 900), (31, 17)), ((17, 9), (900, 1300)),
        ((640, 480), (640, 100)), ((640, 480), (100, 480)), ((64, 64), (64, 64)), ((3, 1200), (28, 28)), ((1200, 3), (28, 28)),
    ],
)  # fmt: skip
def test_resizing_gives_pillows_bytes_at_the_extremes(isa: str, size: tuple[int, int], new: tuple[int, int]) -> None:
    if not has_pillows_order(*size, *new):
        pytest.skip("this Pillow passes in the other order")
    images = pictures(*size)
    assert np.array_equal(_core.resize_bicubic(images, *new), by_pillow(images, *new))


@pytest.mark.parametrize("new", [(0, 5), (5, -1), (70000, 5)])
def test_a_size_that_cannot_be_is_refused(new: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="sizes from 1 to 65535 pixels"):
        _core.resize_bicubic(pictures(8, 8), *new)


# -- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [QWEN2, QWEN2_5, QWEN3])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_float32_patches_are_the_pillow_processors_to_the_last_bit(isa: str, name: str, size: tuple[int, int]) -> None:
    constants = known_processor(name)
    spec = image_spec(constants)
    height, width = smart_resize(size[1], size[0], spec)
    if not has_pillows_order(*size, width, height):
        pytest.skip("this Pillow passes in the other order")
    images = pictures(*size)
    theirs, grids = by_processor(images, constants)
    emitter = patch_emitter(spec, size)
    ours = emitter.emit(images)
    assert emitter.isa == isa
    assert grids == [list(emitter.grid)] * 3
    assert ours.shape == (3 * emitter.rows, emitter.columns) and ours.dtype == np.float32
    assert np.array_equal(ours, theirs)
    assert (spec.patch_size, spec.factor) == ((16, 32) if name == QWEN3 else (14, 28))


@pytest.mark.parametrize("limits", [(3136, 12544), (50176, 12845056), (100352, 200704)])
def test_a_checkpoints_own_limits_decide_the_size(limits: tuple[int, int]) -> None:
    constants = known_processor(QWEN2) | {"min_pixels": limits[0], "max_pixels": limits[1]}
    spec = image_spec(constants)
    for size in ((84, 56), (300, 300), (448, 224)):
        height, width = smart_resize(size[1], size[0], spec)
        if has_pillows_order(*size, width, height):
            images = pictures(*size)
            theirs, _ = by_processor(images, constants)
            assert np.array_equal(emit(spec, images, "float32").numpy(), theirs)


@pytest.mark.parametrize("name", [QWEN2, QWEN3])
@pytest.mark.parametrize("size", [(84, 56), (300, 300)])
def test_bfloat16_patches_are_the_rounded_float32_patches(isa: str, name: str, size: tuple[int, int]) -> None:
    spec, images = image_spec(known_processor(name)), pictures(*size)
    rounded = emit(spec, images, "float32").bfloat16()
    assert torch.equal(emit(spec, images, "bfloat16"), rounded)


def test_a_value_between_two_bfloat16s_becomes_the_even_one(isa: str) -> None:
    """With this mean and deviation byte v becomes v + 1/2 or close to it: from 128 on halfway between two bfloat16."""
    arguments: list[Any] = [14, 2, 2, (-0.5 / 255,) * 3, (1 / 255,) * 3, 84, 56, 84, 56]
    images = pictures(84, 56)
    floats = torch.from_numpy(_core.PatchEmitter(*arguments, "float32").emit(images))
    bits = floats.view(torch.int32)
    assert int((bits & 0xFFFF == 0x8000).sum()) > 1000
    assert torch.equal(torch.from_dlpack(_core.PatchEmitter(*arguments, "bfloat16").emit(images)), floats.bfloat16())


@pytest.mark.parametrize("name", [QWEN2, QWEN3])
@pytest.mark.parametrize("size", [(84, 56), (300, 300)])
def test_uint8_patches_are_the_bytes_under_the_float32_patches(isa: str, name: str, size: tuple[int, int]) -> None:
    spec, images = image_spec(known_processor(name)), pictures(*size)
    floats, byte = emit(spec, images, "float32"), emit(spec, images, "uint8")
    area = spec.patch_size**2
    assert byte.dtype == torch.uint8 and byte.shape == (len(floats), 3 * area)
    channels = byte.reshape(-1, 3, 1, area).numpy().astype(np.float64) * (1 / 255)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.std))
    normalised = (channels.astype(np.float32) - mean) / std
    expected = np.broadcast_to(normalised, (len(byte), 3, spec.temporal_patch_size, area))
    assert np.array_equal(floats.reshape(expected.shape).numpy(), expected)


@hypothesis.given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_any_patch_and_merge_size_is_cut_by_the_same_rule(
    isa: str, blocks_x: int, blocks_y: int, patch: int, merge: int, temporal: int
) -> None:
    width, height = blocks_x * patch * merge, blocks_y * patch * merge
    hypothesis.assume(width * height <= 40_000)
    emitter = _core.PatchEmitter(
        patch, merge, temporal, (0.5, 0.25, 0.75), (0.5, 0.25, 2.0), width, height, width, height, "float32"
    )
    image = pictures(width, height)[:1]
    pixels = (image[0] * (1 / 255)).astype(np.float32)
    pixels = (pixels - np.array([0.5, 0.25, 0.75], np.float32)) / np.array([0.5, 0.25, 2.0], np.float32)
    cut = pixels.reshape(blocks_y, merge, patch, blocks_x, merge, patch, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    expected = np.repeat(cut.reshape(emitter.rows, 3, 1, patch, patch), temporal, axis=2).reshape(emitter.rows, -1)
    assert np.array_equal(emitter.emit(image), expected)


def test_threads_share_one_emitter() -> None:
    spec, images = image_spec(known_processor(QWEN2)), pictures(300, 300)
    emitter = patch_emitter(spec, (300, 300))
    expected, wrong = emitter.emit(images), list[int]()

    def work(thread: int) -> None:
        for _ in range(5):
            if not np.array_equal(emitter.emit(images), expected):
                wrong.append(thread)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- arrays in and out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8"])
def test_patches_can_be_written_where_the_caller_wants_them(dtype: Dtype) -> None:
    spec, images = image_spec(known_processor(QWEN2)), pictures(84, 56)
    emitter = patch_emitter(spec, (84, 56), dtype=dtype)
    kinds: dict[str, type[np.generic]] = {"float32": np.float32, "bfloat16": np.uint16, "uint8": np.uint8}
    memory = np.full(3 * emitter.rows * emitter.columns + 2, 7, kinds[dtype])
    out = memory[1:-1].reshape(3 * emitter.rows, emitter.columns)
    emitter.emit_into(images, out)
    there = torch.from_numpy(out).view(torch.bfloat16) if dtype == "bfloat16" else torch.from_numpy(out)
    assert torch.equal(there, emit(spec, images, dtype))
    assert memory[0] == memory[-1] == 7


def test_memory_that_does_not_fit_is_refused() -> None:
    emitter = patch_emitter(image_spec(known_processor(QWEN2)), (84, 56))
    images, fits = pictures(84, 56), np.zeros((72, 1176), np.float32)
    frozen = fits.copy()
    frozen.flags.writeable = False
    for out in (fits[:-1], fits.astype(np.float64), fits.ravel(), np.zeros((72, 2352), np.float32)[:, ::2], frozen):
        with pytest.raises(ValueError, match="contiguous, writable float32 array"):
            emitter.emit_into(images, out)


def test_only_bytes_of_the_right_size_are_taken() -> None:
    """Pixels from 0 to 1, read as bytes, would be black without a word."""
    emitter = patch_emitter(image_spec(known_processor(QWEN2)), (84, 56))
    images = pictures(84, 56)
    for wrong in (images / 255, images.astype(np.int64), images[0], images[:, :, :, :2], pictures(56, 84)):
        with pytest.raises(ValueError, match="uint8 images of shape"):
            emitter.emit(wrong)
    mirrored = images[:, :, ::-1]
    assert np.array_equal(emitter.emit(mirrored), emitter.emit(np.ascontiguousarray(mirrored)))
    assert emitter.emit(images[:0]).shape == (0, 1176)


def test_bfloat16_reaches_torch_without_a_copy_and_outlives_its_maker() -> None:
    emitter = patch_emitter(image_spec(known_processor(QWEN2)), (84, 56), dtype="bfloat16")
    array: Any = emitter.emit(pictures(84, 56))
    first, second = torch.from_dlpack(array), torch.from_dlpack(array)
    assert first.data_ptr() == second.data_ptr() and first.data_ptr() % 64 == 0
    assert tuple(first.shape) == array.shape == (72, 1176) and first.dtype == torch.bfloat16
    expected = first.clone()
    del array, second, emitter
    others = [torch.full_like(first, 3.0) for _ in range(20)]  # would reuse the memory if it had been freed
    assert torch.equal(first, expected) and len(others) == 20


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (2, 0)])
def test_a_capsule_that_nobody_takes_gives_its_memory_back(version: tuple[int, int] | None) -> None:
    import gc
    import resource

    spec = image_spec(known_processor(QWEN2))
    emitter, image = patch_emitter(spec, (448, 448), dtype="bfloat16"), pictures(448, 448)[:1]
    before = 0
    for i in range(120):  # 2.4 MB each
        emitter.emit(image).__dlpack__(max_version=version)
        if i == 10:
            gc.collect()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 * 1024


def test_a_device_or_a_copy_that_cannot_be_had_is_refused() -> None:
    array: Any = patch_emitter(image_spec(known_processor(QWEN2)), (84, 56), dtype="bfloat16").emit(pictures(84, 56))
    assert array.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="the CPU"):
        array.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="clone the tensor"):
        array.__dlpack__(copy=True)
    with pytest.raises(ValueError, match="stream=None"):
        array.__dlpack__(stream=1)


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"patch_size": 12}, "patch x merge of 28 or 32 pixels"),
        ({"merge_size": 1}, "patch x merge of 28 or 32 pixels"),
        ({"temporal_patch_size": 1}, "temporal_patch_size 2"),
        ({"image_mean": [0.5]}, "3 numbers in image_mean and image_std"),
        ({"image_std": [0.5, 0.5, 0.5, 0.5]}, "3 numbers in image_mean and image_std"),
        ({"image_std": [0.5, 0.0, 0.5]}, "numbers above 0 in image_std"),
        ({"do_resize": False}, "do_resize, do_rescale and do_normalize true"),
        ({"do_rescale": False}, "do_resize, do_rescale and do_normalize true"),
        ({"do_normalize": None}, "do_resize, do_rescale and do_normalize true"),
        ({"resample": 2}, "resample 3"),
        ({"resample": None}, "resample 3"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor 1/255"),
        ({"image_processor_type": "Glm4vImageProcessor"}, "an image processor among Qwen2VLImageProcessor"),
    ],
    ids=str,
)
def test_a_processor_that_would_do_anything_else_is_refused(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ModelError, match=f"expected {expected}") as error:
        image_spec(known_processor(QWEN2) | change, where="preprocessor_config.json of 'x'")
    assert error.value.where == "preprocessor_config.json of 'x'"


def test_what_the_processors_of_the_families_say_is_accepted() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    stored = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12845056).to_dict()
    assert image_spec(stored) == image_spec(known_processor(QWEN2))


@pytest.mark.parametrize("forced", ["avx9", "AVX2", "scalar,avx2"])
def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch, forced: str) -> None:
    spec = image_spec(known_processor(QWEN2))
    monkeypatch.setenv("VLDAC_ISA", forced)
    with pytest.raises(ConfigError, match="instruction set that this machine runs: scalar") as error:
        patch_emitter(spec, (84, 56))
    assert error.value.got == repr(forced)
    with pytest.raises(ValueError, match="environment variable VLDAC_ISA"):
        _core.resize_bicubic(pictures(8, 8), 4, 4)


def test_an_empty_instruction_set_means_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDAC_ISA", "")
    assert patch_emitter(image_spec(known_processor(QWEN2)), (84, 56)).isa == _core.isa_tiers()[-1]


def test_an_unknown_dtype_is_refused() -> None:
    wrong: Any = "float16"
    with pytest.raises(ConfigError, match="a patch dtype among float32, bfloat16, uint8"):
        patch_emitter(image_spec(known_processor(QWEN2)), (84, 56), dtype=wrong)


@pytest.mark.parametrize(
    ("position", "value", "expected"),
    [
        (0, 0, "a patch of 1 to 64"), (1, 17, "a merge of 1 to 16"), (2, 0, "1 to 16 temporal copies"),
        (7, 85, "a multiple of"), (8, 0, "a multiple of"), (9, "int8", "the format"),
        (4, (0.0, 1.0, 1.0), "above 0"), (4, (1e-45, 1.0, 1.0), "values finite"), (3, (float("nan"), 0.0, 0.0), "finite means"),
    ],
)  # fmt: skip
def test_the_core_refuses_a_specification_that_cannot_be_met(position: int, value: Any, expected: str) -> None:
    arguments: list[Any] = [14, 2, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 84, 56, 84, 56, "uint8"]
    arguments[position] = value
    with pytest.raises(ValueError, match=expected):
        _core.PatchEmitter(*arguments)
