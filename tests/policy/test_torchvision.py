"""With torchvision transformers takes another image back end; ours must load all the same, and say the same ids.

torchvision is no dependency. Where the installed one cannot be imported beside a CPU torch, or is not installed, name a folder
with a copy in VLDAC_TEST_TORCHVISION (`pip install --no-deps --target FOLDER torchvision==0.28.0`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_with_torchvision_the_ids_are_the_same_and_only_resizing_differs(checkpoint: Path, family: str) -> None:
    """Without resizing the pixels agree; bicubic resizing differs by up to 0.3 in normalised units on noise (Pillow is ours)."""
    folder = os.environ.get("VLDAC_TEST_TORCHVISION", "")
    if not folder and importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed and VLDAC_TEST_TORCHVISION names no folder with it")
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if folder:
        environment["PYTHONPATH"] = os.pathsep.join(p for p in (folder, environment.get("PYTHONPATH", "")) if p)
    script = Path(__file__).with_name("torchvision_check.py")
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(checkpoint)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["family"] == family
    assert said["image_processor"] == "Qwen2VLImageProcessor"
    assert said["pixels"]["exact"] < 1e-5
    assert 1e-3 < said["pixels"]["resized"] < 0.35
    assert [value for key, value in said.items() if key.startswith("same_")] == [True] * 4
