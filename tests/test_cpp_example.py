"""The program in examples/cpp, built here, gives what Python gives from the same exported detector."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import openvino
import pandas as pd
import pytest
from openvino import opset13 as op
from PIL import Image

import detectors
from curate.anomaly_maps import STEPS, read_raw
from curate.images import encode_jpeg, encode_png, read_image
from curate.schema import check_rows
from curate.score_images import to_uint8
from detectors.backbones.runners import openvino_core
from detectors.export import export, load_info
from tests.detectors import smoke_scene
from tests.helpers.places import REPOSITORY
from tests.helpers.tiny import anomalous_image, normal_image

pytestmark = pytest.mark.slow

SOURCE = REPOSITORY / "examples" / "cpp"
CMAKE_FILES = Path(openvino.__file__).parent / "cmake"
COLUMNS = ["file", "score", "anomalous", "width", "height", "ms", "error"]
SUMMARY = [
    "name", "n_streamed", "images_per_s", "latency_ms_p50", "latency_ms_p95", "peak_rss_bytes", "state_bytes",
]  # fmt: skip
THRESHOLD = 150.0
LEVEL = 1.0  # JPEG decoders may round a value differently; all else is exact
GOOD = {
    "a, b.png", "alpha.PNG", "colour.png", "colour.jpg", "dark.png", "grey.png", "grey.jpeg",
    "grey_alpha.png", "noisy.jpg", "one_bit.png", "palette.png", "sixteen.png", "sixteen_colour.png",
    "turned.jpg",
}  # fmt: skip
BROKEN = {
    "cmyk.jpg": "CMYK", "cut.jpg": "damage", "cut.png": "damage", "empty.png": "0 bytes",
    "text.png": "another kind", "wide.png": "cannot hold", "gone.png": "does not exist",
    "folder.jpg": "found a folder",
}  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("build")
    for words in (["-S", SOURCE, "-B", build, f"-DOpenVINO_DIR={CMAKE_FILES}"], ["--build", build]):
        ended = subprocess.run(["cmake", *map(str, words)], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "warning" not in (ended.stdout + ended.stderr).lower()
    return build / "score_folder"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Each kind of PNG and JPEG, 48x64 and some others, never square."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(3)
    colour, grey = normal_image(rng), anomalous_image(rng)[0][:, :, 0]
    noise = rng.integers(0, 1 << 16, (31, 50, 3), dtype=np.uint16)
    for name, array in (
        ("a, b.png", colour), ("colour.png", colour), ("dark.png", colour[:20] // 2), ("grey.png", grey),
        ("sixteen.png", noise[:, :, 0]), ("sixteen_colour.png", noise),
    ):  # fmt: skip
        (folder / name).write_bytes(encode_png(array))
    (folder / "colour.jpg").write_bytes(encode_jpeg(colour, 90))
    content = (folder / "colour.jpg").read_bytes()
    (folder / "noisy.jpg").write_bytes(content[:-2] + b"extra" * 9 + content[-2:])  # passed over, no damage
    (folder / "grey.jpeg").write_bytes(encode_jpeg(grey, 90))
    Image.fromarray(np.dstack([colour, grey])).save(folder / "alpha.PNG")
    Image.fromarray(np.dstack([grey, 255 - grey])).save(folder / "grey_alpha.png")
    Image.fromarray(grey > 120).save(folder / "one_bit.png")
    Image.fromarray(colour).quantize(16).save(folder / "palette.png", transparency=3)
    (exif := Image.Exif())[274] = 6  # "turn it by 90 degrees": not done, as in Python
    Image.fromarray(colour).save(folder / "turned.jpg", quality=90, exif=exif)
    return folder


@pytest.fixture(scope="module")
def mixed(pictures, tmp_path_factory) -> Path:
    """The pictures, and files that cannot be read."""
    folder = tmp_path_factory.mktemp("mixed") / "images"
    shutil.copytree(pictures, folder)
    Image.open(pictures / "colour.png").convert("CMYK").save(folder / "cmyk.jpg")
    for name in ("colour.jpg", "colour.png"):
        content = (pictures / name).read_bytes()
        (folder / f"cut{name[-4:]}").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("version 1 of a text")
    (folder / "notes.txt").write_text("passed over")
    wide = Image.new("1", (6000, 8000))
    wide.save(folder / "wide.png")
    content = (folder / "wide.png").read_bytes()
    (folder / "wide.png").write_bytes(content[:2000])
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.jpg").mkdir()
    return folder


def brightness(folder: Path, *, logarithm: str = "", output: str = "map") -> Path:
    """A model with the interface of an exported detector, whose map is the mean of the channels.

    Args:
        logarithm: "map" or "score": the logarithm of it less 100, which is no number for dark pixels.
        output: name of the map.
    """
    image = op.parameter(openvino.PartialShape([1, -1, -1, 3]), openvino.Type.u8, name="image")
    found = op.reduce_mean(op.convert(image, "f32"), op.constant(np.array([3])), False)
    score = op.reduce_max(found, op.constant(np.array([1, 2])), False)
    if logarithm == "map":
        found = op.log(op.subtract(found, op.constant(np.float32(100))))
    if logarithm == "score":
        score = op.log(op.subtract(score, op.constant(np.float32(100))))
    verdict = op.greater_equal(score, op.constant(np.float32(THRESHOLD)))
    image.output(0).set_names({"image"})
    results = []
    for name, node in (("score", score), (output, found), ("anomalous", verdict)):
        node.output(0).set_names({name})
        results.append(op.result(node))
    folder.mkdir()
    openvino.save_model(openvino.Model(results, [image]), folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return brightness(tmp_path_factory.mktemp("brightness") / "model")


def run(program: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    return subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, timeout=60, env=environment
    )


def scored(program: Path, model: Path, images: Path, out: Path, *words: object) -> pd.DataFrame:
    ended = run(program, model, images, out, "--threads", 1, *words)
    assert ended.returncode == 0, ended.stderr
    return table(out)


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv", keep_default_na=False, dtype=str).set_index("file", drop=False)


def test_scores_and_maps_are_those_of_the_pixels_that_python_reads(program, model, pictures, tmp_path):
    found = scored(program, model, pictures, tmp_path / "out")
    assert list(found.columns) == COLUMNS
    assert list(found["file"]) == sorted(GOOD)
    assert {path.name for path in (tmp_path / "out/maps").iterdir()} == {f"{name}.png" for name in GOOD}
    for name, row in found.iterrows():
        expected = to_uint8(read_image(pictures / name)).mean(axis=2, dtype=np.float32)
        exact = not name.endswith(("jpg", "jpeg"))
        assert float(row["score"]) == pytest.approx(expected.max(), rel=1e-5, abs=0 if exact else LEVEL)
        assert row["anomalous"] == ("true" if expected.max() >= THRESHOLD else "false")
        assert (int(row["height"]), int(row["width"])) == expected.shape
        assert float(row["ms"]) > 0
        anomaly_map = read_raw(tmp_path / "out/maps" / f"{name}.png")
        bound = (expected.max() - expected.min()) / (2 * STEPS) + 1e-4
        assert np.abs(anomaly_map - expected).max() <= bound + (0 if exact else LEVEL)
    assert set(found["anomalous"]) == {"true", "false"}


def test_broken_files_are_reported_and_the_others_scored(program, model, mixed, tmp_path):
    ended = run(program, model, mixed, tmp_path / "out", "--threads", 1)
    assert ended.returncode == 1
    assert "neither .png, .jpg nor .jpeg: 1." in ended.stderr
    found = table(tmp_path / "out")
    assert list(found["file"]) == sorted(GOOD | BROKEN.keys())
    assert all(found.loc[sorted(GOOD), "error"] == "")
    assert all(found.loc[sorted(GOOD), "score"] != "")
    for name, reason in BROKEN.items():
        assert reason in found.loc[name, "error"]
        assert f"{name}: {found.loc[name, 'error']}" in ended.stderr
        assert list(found.loc[name, COLUMNS[1:-1]]) == [""] * 5
        assert not (tmp_path / "out/maps" / f"{name}.png").exists()
    assert json.loads(ended.stdout)["n_streamed"] == len(GOOD)


def test_the_summary_is_one_line_of_json(program, model, pictures, tmp_path):
    ended = run(program, model, pictures, tmp_path / "out")
    (line,) = ended.stdout.splitlines()
    told = json.loads(line)
    ms = table(tmp_path / "out")["ms"].astype(float)
    assert list(told) == SUMMARY
    assert told["n_streamed"] == len(GOOD)
    assert 0 < told["images_per_s"] < 1e5
    assert told["state_bytes"] == sum(path.stat().st_size for path in model.iterdir())
    check_rows([told], "cost")  # so that curate cost --add takes it
    assert told["latency_ms_p50"] == pytest.approx(ms.quantile(0.5), abs=2e-3)
    assert told["latency_ms_p95"] == pytest.approx(ms.quantile(0.95), abs=2e-3)
    assert 1 << 20 < told["peak_rss_bytes"] < 1 << 30


def test_more_streams_change_no_score_and_no_map(program, model, pictures, tmp_path):
    for n_streams in (1, 3):
        scored(program, model, pictures, tmp_path / str(n_streams), "--streams", n_streams)
    one, three = table(tmp_path / "1"), table(tmp_path / "3")
    pd.testing.assert_frame_equal(one.drop(columns="ms"), three.drop(columns="ms"))
    for path in (tmp_path / "1/maps").iterdir():
        assert path.read_bytes() == (tmp_path / "3/maps" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "Expected 3 folders, found 2"),
        (["a", "b", "c", "--streams", "0"], 'Expected a number from 1 to 1024 after --streams, found "0"'),
        (["a", "b", "c", "--threads", "2x"], 'found "2x"'),
        (["a", "b", "c", "--threads"], 'after --threads, found ""'),
        (["a", "b", "c", "--fast"], "There is no option --fast"),
    ],
)
def test_wrong_usage_is_told_with_the_right_one(words, message, program):
    ended = run(program, *words)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Usage: score_folder MODEL_DIR IMAGE_DIR OUT_DIR" in ended.stderr


def test_earlier_results_are_kept_unless_told_otherwise(program, model, pictures, tmp_path):
    out = tmp_path / "out"
    scored(program, model, pictures, out)
    before = (out / "scores.csv").read_bytes()
    ended = run(program, model, pictures, out)
    assert ended.returncode == 1
    assert "add --overwrite" in ended.stderr
    assert (out / "scores.csv").read_bytes() == before
    scored(program, model, pictures, out, "--overwrite")
    assert not list(out.rglob("*.partial"))


def test_a_folder_without_model_or_images_is_told(program, model, pictures, tmp_path):
    ended = run(program, tmp_path, pictures, tmp_path / "out")
    assert ended.returncode == 1
    assert "Expected model.xml or model.onnx in" in ended.stderr
    ended = run(program, model, model, tmp_path / "out")
    assert ended.returncode == 1
    assert "Expected PNG or JPEG files in" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_kind_is_refused(program, pictures, tmp_path):
    ended = run(program, brightness(tmp_path / "m", output="heat"), pictures, tmp_path / "out")
    assert ended.returncode == 1
    assert "anomalous boolean[1]; found" in ended.stderr
    assert "heat f32[1,?,?]" in ended.stderr


@pytest.mark.parametrize("part", ["map", "score"])
def test_an_answer_that_is_not_finite_is_an_error_of_its_image(part, program, pictures, tmp_path):
    ended = run(program, brightness(tmp_path / "m", logarithm=part), pictures, tmp_path / "out")
    assert ended.returncode == 1
    found = table(tmp_path / "out")
    assert f"Expected a finite {part}" in found.loc["dark.png", "error"]
    assert not (tmp_path / "out/maps/dark.png.png").exists()


@pytest.mark.parametrize("file_format", ["openvino", "onnx"])
def test_a_detectors_scores_are_those_of_python(file_format, program, tmp_path):
    rng = np.random.default_rng(4)
    detector = detectors.create(
        "padim", profile="smoke", backbone="tiny", weights="random", runtime="torch", n_channels=20
    ).fit([image[:48] for image in smoke_scene.normals(n=8)])
    images = [image[:48] for image, _ in smoke_scene.tests()[:4]] + [
        anomalous_image(rng)[0],
        normal_image(rng)[:37],
    ]
    (tmp_path / "images").mkdir()
    for index, image in enumerate(images):
        (tmp_path / "images" / f"{index}.png").write_bytes(encode_png(image))
    expected = list(detector.predict(images))
    threshold = float(np.median([each.score for each in expected]))
    other = {"openvino": "onnx", "onnx": "openvino"}[file_format]
    export(detector, tmp_path / "model", threshold=threshold, **{other: False})
    found = scored(program, tmp_path / "model", tmp_path / "images", tmp_path / "out")
    (graph,) = (tmp_path / "model").glob("model.[xo]*")
    compiled = openvino_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    tolerance = load_info(tmp_path / "model")["tolerance"] * max(each.score for each in expected)
    for image, prediction, (name, row) in zip(images, expected, found.iterrows(), strict=True):
        answer = compiled({"image": image[None]})
        assert float(row["score"]) == pytest.approx(answer["score"][0], rel=1e-5)
        assert float(row["score"]) == pytest.approx(prediction.score, abs=tolerance)
        assert row["anomalous"] == str(bool(answer["anomalous"][0])).lower()
        values = answer["map"][0]
        bound = np.ptp(values) / (2 * STEPS) + 1e-5 * values.max()
        assert np.abs(read_raw(tmp_path / "out/maps" / f"{name}.png") - values).max() <= bound
    assert set(found["anomalous"]) == {"true", "false"}
