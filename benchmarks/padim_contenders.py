"""One contender of padim_peer.py: fits, predicts and prints what it cost. Runs in a process of its own.

Called as: padim_contenders.py NAME JOB, where JOB is a JSON file with
    train, test: lists of [id, path of an image]
    weights: path of a state dict of timm's tf_efficientnet_lite0
    channels: indices of the feature channels, after concatenation of blocks 1, 2 and 4
    out: folder for the maps
The packages of the contender are imported, and the network is built, before the clock starts.
"""

import functools
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
INPUT_HW = (256, 256)
MEAN = STD = (0.5, 0.5, 0.5)  # what the weights of EfficientNet-Lite0 were trained with
PEER_BATCH = 32  # anomalib's default
OUR_BATCH = 16  # ours
RUNTIMES = ("openvino", "onnxruntime", "torch")


def cpu_s() -> float:
    """User and system time of this process and of its finished children."""
    return sum(os.times()[:4])


def peak_rss_mib() -> float:
    """Largest resident memory; getrusage would also count what the calling process had."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def timed(work: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    before = cpu_s()
    work()
    return cpu_s() - before


def ours(job: dict[str, Any], runtime: str) -> dict[str, float]:
    """curate's own way from files to stored maps, with calibration, display maps and journal."""
    import hashlib
    import tempfile

    import pandas as pd
    import torch

    import detectors.padim  # noqa: F401
    from curate.scoring import fit_detector, score_table

    import_runtime(runtime)

    def table(items: list[list[str]]) -> pd.DataFrame:
        rows = [{"sample_id": key, "filepath": path, "category": "tile"} for key, path in items]
        digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for _, path in items]
        return pd.DataFrame(rows).assign(sha256=digests)

    train, test, out = table(job["train"]), table(job["test"]), Path(job["out"])
    config = {
        "runtime": runtime, "seed": 0, "n_channels": len(job["channels"]), "image_hw": INPUT_HW,
        "aspect": "stretch",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as cache:  # empty: the fit pays for the export of the network
        fit = timed(lambda: fit_detector(train, "padim", config, out, cache=Path(cache)))
        predict = timed(lambda: score_table(test, out, cache=Path(cache)))
    state = torch.load(out / "state" / "tile" / "state.pt", weights_only=True)
    assert state["channels"].tolist() == job["channels"], "the contenders must use the same channels"
    return {"fit_cpu_s": fit, "predict_cpu_s": predict}


def import_runtime(runtime: str) -> None:
    """Import a runtime's package, so that it is not timed."""
    if runtime == "openvino":
        from detectors.backbones.runners import import_openvino

        import_openvino()
    elif runtime == "onnxruntime":
        import onnxruntime  # noqa: F401


def backbone_alone(job: dict[str, Any], runtime: str) -> dict[str, float]:
    """What the test images cost in the backbone and nowhere else: they are decoded and resized before."""
    from curate.images import read_image
    from detectors.backbones import Backbone, make_runner
    from detectors.geometry import Geometry

    geometry = Geometry(INPUT_HW, None, "stretch")
    images = [geometry.prepare(read_image(Path(path))).pixels for _, path in job["test"]]
    runner = make_runner(Backbone("efficientnet_lite0", "packaged"), INPUT_HW, runtime)

    def run(part: list[Any]) -> None:
        runner.run(part, lambda index, maps: None)

    run(images[:OUR_BATCH])
    batches = [images[start : start + OUR_BATCH] for start in range(0, len(images), OUR_BATCH)]
    return {"fit_cpu_s": 0.0, "predict_cpu_s": timed(lambda: [run(part) for part in batches])}


def peer_model(job: dict[str, Any]) -> Any:
    """anomalib's PadimModel with our weights and channels."""
    import torch
    from anomalib.models.image.padim.torch_model import PadimModel

    layers = ["blocks.1", "blocks.2", "blocks.4"]
    model = PadimModel("tf_efficientnet_lite0", layers, pre_trained=False, n_features=len(job["channels"]))
    give_weights(model, job)
    assert torch.equal(model.idx, torch.tensor(job["channels"]))
    return model


def give_weights(model: Any, job: dict[str, Any]) -> None:
    """Put the job's weights and channels into a PadimModel; every tensor of its backbone must be found."""
    import torch

    state = torch.load(job["weights"], weights_only=True)
    net = model.feature_extractor.feature_extractor
    net.load_state_dict({key: state[key] for key in net.state_dict()})
    model.idx = torch.tensor(job["channels"])


def peer_transform() -> Any:
    """Resize and normalise."""
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    return Compose([Resize(INPUT_HW, antialias=True), Normalize(MEAN, STD)])


def anomalib_model(job: dict[str, Any]) -> dict[str, float]:
    """anomalib's torch model in the plainest loop, without its Engine; maps stored with numpy.save."""
    import numpy as np
    import torch
    from anomalib.data.utils import read_image

    model, transform, out = peer_model(job), peer_transform(), Path(job["out"])

    def batches(items: list[list[str]]) -> Any:
        for start in range(0, len(items), PEER_BATCH):
            part = items[start : start + PEER_BATCH]
            images = [transform(read_image(path, as_tensor=True)) for _, path in part]
            yield [key for key, _ in part], torch.stack(images)

    def fit() -> None:
        model.train()
        for _, images in batches(job["train"]):
            model(images)
        model.fit()

    def predict() -> None:
        model.eval()
        with torch.no_grad():
            for keys, images in batches(job["test"]):
                for key, each in zip(keys, model(images).anomaly_map, strict=True):
                    np.save(out / f"{key}.npy", each[0].numpy())

    return {"fit_cpu_s": timed(fit), "predict_cpu_s": timed(predict)}


def anomalib_engine(job: dict[str, Any]) -> dict[str, float]:
    """anomalib as its documentation has it: data module, Engine.fit and Engine.predict."""
    import logging

    import numpy as np
    from anomalib.data import Folder, PredictDataset
    from anomalib.engine import Engine
    from anomalib.models import Padim
    from anomalib.pre_processing import PreProcessor

    logging.disable(logging.WARNING)
    out, images = Path(job["out"]), Path(job["out"]) / "images"
    for part in ("train", "test"):
        (images / part).mkdir(parents=True)
        for key, path in job[part]:
            (images / part / f"{key}{Path(path).suffix}").symlink_to(path)
    model = Padim(
        backbone="tf_efficientnet_lite0", layers=["blocks.1", "blocks.2", "blocks.4"], pre_trained=False,
        n_features=len(job["channels"]), pre_processor=PreProcessor(peer_transform()),
        post_processor=False, evaluator=False, visualizer=False,
    )  # fmt: skip
    give_weights(model.model, job)
    data = Folder(
        "tiles", normal_dir=images / "train", train_batch_size=PEER_BATCH, eval_batch_size=PEER_BATCH,
        num_workers=0, test_split_mode="none", val_split_mode="none",
    )  # fmt: skip
    engine = Engine(
        accelerator="cpu", devices=1, default_root_dir=out / "engine", logger=False, enable_progress_bar=False
    )

    def predict() -> None:
        from torch.utils.data import DataLoader

        dataset = PredictDataset(images / "test", transform=peer_transform().transforms[0])
        loader = DataLoader(dataset, batch_size=PEER_BATCH, collate_fn=dataset.collate_fn)
        for batch in engine.predict(model, dataloaders=loader):
            for path, each in zip(batch.image_path, batch.anomaly_map, strict=True):
                np.save(out / f"{Path(path).stem}.npy", each.squeeze().numpy())

    def fit() -> None:
        data.setup()
        engine.fit(model, train_dataloaders=data.train_dataloader())

    return {"fit_cpu_s": timed(fit), "predict_cpu_s": timed(predict)}


CONTENDERS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    **{f"ours, {name}": functools.partial(ours, runtime=name) for name in RUNTIMES},
    **{f"backbone alone, {name}": functools.partial(backbone_alone, runtime=name) for name in RUNTIMES},
    "anomalib, torch model": anomalib_model,
    "anomalib, Engine": anomalib_engine,
}


if __name__ == "__main__":
    before = cpu_s()
    found = CONTENDERS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))
    found["setup_cpu_s"] = cpu_s() - found["fit_cpu_s"] - found["predict_cpu_s"]
    found["peak_rss_mib"] = peak_rss_mib()
    sys.stdout.write("\n" + json.dumps(found) + "\n")
