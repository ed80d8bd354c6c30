"""What a figure or a checkpoint was made with: versions, processor, commit."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("vldac", "torch", "transformers", "peft", "numpy")
"""The packages that decide a run's numbers."""


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of `packages` ("not installed" where one is missing)."""
    return {"python": platform.python_version()} | {name: version(name) or "not installed" for name in packages}


def version(package: str) -> str | None:
    """Return a package's version, or None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor_name() -> str:
    """Return the processor's name as Linux tells it, else the machine's architecture."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.M) if info.exists() else None
    return found[1] if found else platform.machine()


def commit(root: Path) -> str:
    """Return the commit of a checkout, with "-dirty" if anything but benchmark results was changed since."""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", ":!benchmarks/results"], capture_output=True, text=True, check=False
    ).stdout
    return (head or "unknown") + ("-dirty" if changed.strip() else "")
