"""What every benchmark says about itself: machine, versions, commit; and how it is written down."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch")


def describe_run(seeds: Sequence[int], packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Everything that a reader needs to judge, or to repeat, a set of figures."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git_commit(),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "system": f"{platform.system()} {platform.machine()}",
            "torch_threads": torch.get_num_threads(),
            "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "versions": {"python": platform.python_version()}
        | {package: _version(package) for package in packages},
        "seeds": list(seeds),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _git_commit() -> str | None:
    """Commit of the code that ran; '+changes' where the package differs from it."""
    root = Path(__file__).parent.parent
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", "acr_sklearn", "benchmarks/*.py")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run_in_words(run: dict[str, Any]) -> str:
    """The description of a run in two lines."""
    machine = run["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['torch_threads']} torch "
        f"threads, {machine['system']}, load before {machine['load_before']}\n"
        f"{packages}; commit {run['commit']}; seeds {run['seeds']}; {run['date']}"
    )


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need be, the first to the left and the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    formatted = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    formatted.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(formatted)


def percent(share: float | str) -> str:
    """Write a share as it was given: 20%, 0.5%."""
    return f"{100 * float(share):.10g}%"


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write figures so that two runs can be compared line by line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
