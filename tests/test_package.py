"""The package itself: names, the error without the extension, what a wheel holds."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import vldac


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    """Importing `vldac.evaluate`, a module, once replaced the function `vldac.evaluate`."""
    assert [name for name in vldac.__all__ if importlib.util.find_spec(f"vldac.{name}")] == []
    assert all(callable(getattr(vldac, name)) for name in vldac.__all__)


def test_a_missing_extension_is_told_with_causes_and_commands(tmp_path: Path) -> None:
    copy = tmp_path / "vldac"
    shutil.copytree(Path(vldac.__file__).parent, copy, ignore=shutil.ignore_patterns("_core*", "__pycache__"))
    code = "import sys; sys.meta_path = [f for f in sys.meta_path if 'vldac' not in repr(f).lower()]"
    code += f"; sys.path.insert(0, {str(tmp_path)!r})"
    result = subprocess.run([sys.executable, "-P", "-S", "-c", f"{code}; import vldac"], capture_output=True, text=True)
    assert result.returncode != 0 and "vldac._core is missing" in result.stderr
    assert "pip install -c constraints.txt ." in result.stderr and "python -P -m vldac" in result.stderr


def test_the_root_folders_do_not_take_names_of_other_packages() -> None:
    for name in ("kernels", "envs"):
        spec = importlib.util.find_spec(name)
        assert spec is None or spec.origin is None or "vldac" not in spec.origin
