"""Taking images in, here and by FiftyOne itself: CPU seconds on the same magnetic tile folder.

    python benchmarks/ingest_peer.py DATA

Every contender runs in a process of its own, several times in turn; the best run counts. Imports, the start
of the database and the compiling of the contract are over before the clock starts; the database server's own
CPU seconds are counted. What each one does differs, and that is the point:

    curate           lists the layout, decodes every image and every mask to its last pixel (damage is found),
                     hashes files and pixels, measures masks, writes 0/255 masks, the table and the documents
    FiftyOne, files  add_samples(filepath) and compute_metadata: reads the heads of the images
    FiftyOne, labels the same with label, defect type and mask path for each sample; masks are not opened
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
CONTENDERS = ("curate", "FiftyOne, files", "FiftyOne, labels")
IMPORTED = (
    "curate.ingest", "curate.formats.magnetic_tile", "curate.store.appearance", "curate.store.marks",
    "curate.store.verdicts",
)  # fmt: skip  # what the two steps import when they run


def cpu_s(server: Any) -> float:
    """User and system seconds of this process, its finished children and the database server."""
    used = server.cpu_times()
    return sum(os.times()[:4]) + used.user + used.system


def contend(name: str, data: Path, home: Path) -> dict[str, Any]:
    """Take the folder in once; CPU and wall seconds."""
    import psutil

    from curate.recipe import Source
    from curate.schema import faults
    from curate.steps import ingest, sync
    from curate.steps.record import Context
    from curate.store.server import connect
    from curate.workspace import Workspace

    workspace = Workspace.at(home)
    context = Context(workspace, workspace.dataset("tiles"))
    with connect(home):
        import fiftyone as fo

        for module in IMPORTED:
            importlib.import_module(module)

        faults([{}], "sample"), faults([{}], "mask_facts")
        fo.Dataset("warm", persistent=True).add_samples([fo.Sample(filepath=str(home / "warm.png"))])
        server = next(
            p for p in psutil.process_iter() if p.name() == "mongod" and str(home / "db") in p.cmdline()
        )
        began, clock = cpu_s(server), time.perf_counter()
        if name == "curate":
            n_images = ingest.run(context, Source(data, "magnetic_tile"))["n_images"]
            taken = cpu_s(server) - began
            sync.everything(context)
        else:
            n_images = _fiftyone(fo, data, labels=name.endswith("labels"))
            taken = None
        spent = cpu_s(server) - began
        return {
            "cpu_s": round(spent, 3),
            "cpu_s_before_storing": taken and round(taken, 3),
            "wall_s": round(time.perf_counter() - clock, 3),
            "n_images": n_images,
        }


def _fiftyone(fo: Any, data: Path, labels: bool) -> int:
    samples = []
    for path in sorted(data.glob("MT_*/Imgs/*.jpg")):
        sample = fo.Sample(filepath=str(path))
        if labels:
            kind = path.parts[-3].removeprefix("MT_").lower()
            sample["ground_truth"] = fo.Classification(label="normal" if kind == "free" else "anomalous")
            sample["defect_types"] = [] if kind == "free" else [kind]
            if kind != "free":
                sample["gt_mask"] = fo.Segmentation(mask_path=str(path.with_suffix(".png")))
        samples.append(sample)
    dataset = fo.Dataset("peer", persistent=True)
    dataset.add_samples(samples, progress=False)
    dataset.compute_metadata(num_workers=1, progress=False)
    return len(dataset)


def main() -> None:
    """Run all contenders in turn and print the figures; --out keeps them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "ingest_peer.json")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        print(json.dumps(contend(given.contender, given.data.absolute(), given.home)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for _ in range(given.repeats):
        for name in CONTENDERS:
            with tempfile.TemporaryDirectory() as folder:
                told = [sys.executable, __file__, str(given.data), "--contender", name, "--home", folder]
                done = subprocess.run(told, capture_output=True, text=True, check=True)
                runs[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    best = {name: min(found, key=lambda run: float(run["cpu_s"])) for name, found in runs.items()}
    ratios = {name: round(best["curate"]["cpu_s"] / best[name]["cpu_s"], 2) for name in CONTENDERS[1:]}
    content = {"best": best, "curate_to": ratios, "cpu_s": {n: [r["cpu_s"] for r in runs[n]] for n in runs}}
    given.out.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
