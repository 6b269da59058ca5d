"""Small files that stand for much cost neither time nor memory.

Limits: 5 s and 400 MB for what is refused or small; 60 s and 3 GB for a picture of 900 megapixels, which is
below the limit of 2**30 and so is taken in.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.places import REPOSITORY

LIMIT_S, LIMIT_MB = 5.0, 400
LARGE, LARGE_S, LARGE_MB = "a black square of 900 megapixels", 60.0, 3000


@pytest.mark.slow
def test_bombs_are_refused_or_read_within_limits_of_time_and_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bombs", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = {one["bomb"]: one for one in json.loads(done.stdout)}
    assert len(told) == 10
    large = told.pop(LARGE)
    assert large["took_s"] < LARGE_S and large["grown_mb"] < LARGE_MB, large
    over = [one for one in told.values() if one["took_s"] > LIMIT_S or one["grown_mb"] > LIMIT_MB]
    assert not over, over
