"""Run by `test_torchvision.py` in a process of its own: everything here happens with torchvision importable.

Prints one JSON object: how our own path (tokenizer, Pillow, own placeholder expansion) compares with the real processor.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import torch


def import_torchvision() -> bool:
    """Import torchvision. A CUDA build beside a CPU torch lacks two compiled operators; declaring them is enough here."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        sys.modules.pop("torchvision", None)
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")
        globals()["_keep"] = library
        return True
    return False


def compare(folder: str) -> dict[str, Any]:
    import numpy as np
    from transformers import AutoImageProcessor, Qwen2VLProcessor, Qwen3VLProcessor

    from vldac.model import load_model
    from vldac.prompting import image_patches

    model = load_model(folder, dtype=torch.float32)
    processor = (Qwen3VLProcessor if model.family == "qwen3_vl" else Qwen2VLProcessor).from_pretrained(folder)
    images = AutoImageProcessor.from_pretrained(folder)
    encoder = model.encoder()
    result: dict[str, Any] = {"family": model.family, "image_processor": type(images).__name__, "pixels": {}}
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Move the current number."}]
    messages = [{"role": "user", "content": content}]
    factor = model.spec.factor
    for kind, (width, height) in {"exact": (3 * factor, 2 * factor), "resized": (101, 77)}.items():
        frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        patches, grid = image_patches(frames, model.spec)
        theirs = images(images=list(frames), return_tensors="pt")
        result["pixels"][kind] = float((patches - theirs["pixel_values"]).abs().max())
        assert theirs["image_grid_thw"].tolist() == [list(grid)] * 2
        prompt = encoder.encode(messages, [0, 1], grid)
        inputs = processor(text=[encoder.text(messages)], images=list(frames), return_tensors="pt")
        result[f"same_ids_{kind}"] = inputs["input_ids"][0].tolist() == prompt.ids.tolist()
        is_image = (prompt.ids == model.network.config.image_token_id).int().tolist()
        result[f"same_types_{kind}"] = inputs["mm_token_type_ids"][0].tolist() == is_image
    return result


if __name__ == "__main__":
    shimmed = import_torchvision()
    print(json.dumps({"shimmed": shimmed} | compare(sys.argv[1])))
