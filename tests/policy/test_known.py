"""The configurations that ship with the package are those of the published checkpoints."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vldac.errors import ModelError
from vldac.known import known_config, known_ids, known_processor

PUBLISHED = {
    "Qwen/Qwen2-VL-2B-Instruct": 2_208_985_600,
    "Qwen/Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen/Qwen2-VL-72B-Instruct": 73_405_560_320,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen2.5-VL-32B-Instruct": 33_452_718_336,
    "Qwen/Qwen2.5-VL-72B-Instruct": 73_410_777_344,
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
    "Qwen/Qwen3-VL-32B-Instruct": 33_357_390_064,
}
"""Parameters of the published weights (tied heads counted once); of Qwen2.5-VL-72B only 73.4 B was found in public sources."""


def test_known_ids_are_those_with_a_published_parameter_count() -> None:
    assert known_ids() == sorted(PUBLISHED)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_known_configurations_give_the_published_parameter_count(name: str) -> None:
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(known_config(name))
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_known_processors_agree_with_the_vision_tower(name: str) -> None:
    vision, processor = known_config(name).vision_config, known_processor(name)
    assert (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size) == (
        processor["patch_size"],
        processor["merge_size"],
        processor["temporal_patch_size"],
    )


def test_known_configurations_are_new_objects_at_each_call() -> None:
    first = known_config("Qwen/Qwen2-VL-7B-Instruct")
    first.text_config.hidden_size = 1
    first.text_config.rope_parameters["rope_theta"] = 1.0
    second = known_config("Qwen/Qwen2-VL-7B-Instruct")
    assert second.text_config.hidden_size == 3584
    assert second.text_config.rope_parameters["rope_theta"] == 1e6


def test_the_paper_value_head_on_7b_has_17_308_673_parameters() -> None:
    from vldac.config import ModelConfig
    from vldac.policy import ValueHead

    hidden = known_config("Qwen/Qwen2-VL-7B-Instruct").get_text_config().hidden_size
    head = ValueHead(hidden, ModelConfig().value_hidden)
    assert sum(p.numel() for p in head.parameters()) == 17_308_673


def test_unknown_names_have_no_configuration_and_a_helpful_processor_error() -> None:
    assert known_config("Qwen/Qwen2-VL-7B-instruct") is None
    with pytest.raises(ModelError, match="did you mean 'Qwen/Qwen2-VL-7B-Instruct'"):
        known_processor("Qwen/Qwen2-VL-7B-instruct")


def test_listing_known_ids_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from vldac.known import known_ids, known_processor; known_processor(known_ids()[0]);"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
