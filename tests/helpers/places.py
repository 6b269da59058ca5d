"""Where tests find what lies outside of the repository."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_DATA = Path(os.environ.get("CURATE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
MAGNETIC_TILE = SHARED_DATA / "magnetic_tile"
DEEP_PCB = SHARED_DATA / "deep_pcb"
