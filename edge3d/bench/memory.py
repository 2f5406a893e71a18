"""Peak memory of one model file: run as `python -m edge3d.bench.memory FILE THREADS`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge3d.errors import Edge3dError, shortened
from edge3d.runtime import open_runner
from edge3d.runtime.checks import IMAGE_SHAPE

CALLS = 5


def peak_mb(path: Path, threads: int) -> float:
    """Return the peak resident memory, 10^6 bytes, of a process that opens and runs a file.

    Python, numpy and the runtime's own code are in it.

    Raises:
        Edge3dError: the process failed.
    """
    command = [sys.executable, "-m", "edge3d.bench.memory", str(path), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Edge3dError(f"{path}: its memory was not measured: {shortened(reason[0])}")
    return float(done.stdout.split()[-1])


def _main() -> None:
    runner = open_runner(sys.argv[1], threads=int(sys.argv[2]))
    for _ in range(CALLS):
        runner(np.zeros((1, *IMAGE_SHAPE), np.uint8))
    sys.stdout.write(f"{_peak_bytes() / 1e6:.3f}\n")


def _peak_bytes() -> int:
    """Return this process's peak resident memory."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, whose ru_maxrss has the parent's memory from before exec in it
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if peak is not None:
            return 1024 * int(peak[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _main()
