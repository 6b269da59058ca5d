"""The cost of detectors as numbers and as text: rows, a table, forecasts, the points of a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MIB = 2**20
NONE = "\u2013"  # an en dash
COLUMNS = (  # title, width, key, unit
    ("fit", 8, "fit_s", "s"),
    ("CPU", 8, "fit_cpu_s", "s"),
    ("fit memory", 11, "fit_peak_rss_bytes", "MiB"),
    ("cold", 8, "latency_ms_cold", "ms"),
    ("p50", 8, "latency_ms_p50", "ms"),
    ("p95", 8, "latency_ms_p95", "ms"),
    ("images/s", 9, "images_per_s", ""),
    ("memory", 10, "peak_rss_bytes", "MiB"),
    ("on disk", 10, "state_bytes", "MiB"),
    ("numbers", 12, "n_parameters", ""),
    ("AUROC", 6, "image_auroc", "share"),
)
GPU_COLUMNS = (("fit GPU", 12, "fit_gpu_peak_bytes", "MiB"), ("GPU", 12, "gpu_peak_bytes", "MiB"))


@dataclass(frozen=True)
class Point:
    """A detector in the picture: accuracy against what it costs.

    Attributes:
        cost: milliseconds or MiB, above 0.
        accuracy: image AUROC, in [0, 1].
        added: came from a file.
    """

    name: str
    cost: float
    accuracy: float
    added: bool


def quantile(values: Sequence[float], share: float) -> float:
    """Quantile with linear interpolation between the two nearest values.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.5
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def text(value: float | None, unit: str) -> str:
    """One number for people; a dash where there is none.

    >>> [text(3 << 20, "MiB"), text(2048, "MiB"), text(12.34, "ms"), text(1234567, ""), text(0.9876, "share")]
    ['3.0 MiB', '2.0 KiB', '12.3 ms', '1,234,567', '.988']
    """
    if value is None:
        return NONE
    if unit == "share":
        return f"{value:.3f}".removeprefix("0")
    if unit == "MiB":
        value, unit = (value / MIB, unit) if value >= MIB / 10 else (value / 1024, "KiB")
    number = f"{value:,.{0 if isinstance(value, int) or value >= 100 else 1}f}"
    return f"{number} {unit}".rstrip()


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a table, a row for each detector; GPU columns only where one was used."""
    on_gpu = any(row.get(key) is not None for row in rows for _, _, key, _ in GPU_COLUMNS)
    columns = COLUMNS + (GPU_COLUMNS if on_gpu else ())
    width = max(8, *(len(row["name"]) for row in rows))
    out = [f"  {'detector':<{width}}" + "".join(f"{title:>{wide}}" for title, wide, _, _ in columns)]
    for row in rows:
        cells = "".join(f"{text(row.get(key), unit):>{wide}}" for _, wide, key, unit in columns)
        out.append(f"  {row['name']:<{width}}{cells}")
    return out


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of what there is to say besides the numbers; what holds for several detectors is said once."""
    names: dict[str, list[str]] = {}
    for row in rows:
        for told in _notes(row):
            names.setdefault(told, []).append(row["name"])
    return [f"  {', '.join(named)}: {told}" for told, named in names.items()]


def _notes(row: Mapping[str, Any]) -> list[str]:
    out = []
    if row.get("error"):
        out.append(f"not measured. {row['error']}")
        remedies = (row.get("forecast") or {}).get("remedies", [])
        out += [f"would fit: {each}" for each in remedies if each not in row["error"]]
    if row.get("added"):
        out.append("not measured here, from a file")
    if row.get("note"):
        out.append(row["note"])
    if row.get("image_auroc") is not None and row.get("auroc_from"):
        counts = f"{row.get('n_normal', NONE)} normal and {row.get('n_anomalous', NONE)} anomalous images"
        out.append(f"AUROC on {counts} of the test part, scores of {row['auroc_from']}")
    if growth := row.get("growth"):
        out.append(_growth_line(growth))
    return [*out, *(row.get("warnings") or ())]


def _growth_line(growth: Mapping[str, Any]) -> str:
    """Memory of a fit beyond the libraries, and state, at half the images and half the side."""

    def need(key: str) -> str:
        each = growth[key]
        if each.get("error"):
            return f"not possible ({each['error']})"
        return f"{text(each['fit_bytes'], 'MiB')} and {text(each['state_bytes'], 'MiB')}"

    return (
        f"fit memory beyond the libraries and state, {growth['from']}: {need('whole')}; with half the images "
        f"{need('half_images')}; at half the image side {need('half_side')}"
    )


def forecast_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What fits would need, whether that is free now, and what would need less."""
    out = []
    for row in rows:
        name = row["name"]
        if row.get("error"):
            out.append(f"  {name}: {row['error']}")
            continue
        if row["fit_bytes"] is None:
            out.append(f"  {name}: makes no forecast; measure how its fits grow, without --forecast")
            continue
        free = "" if row["free_bytes"] is None else f"; {text(row['free_bytes'], 'MiB')} free"
        verdict = {True: "fits", False: "DOES NOT FIT", None: "unknown whether it fits"}[row["fits"]]
        height, width = row["input_hw"]
        out.append(
            f"  {name}: {verdict}: fit {text(row['fit_bytes'], 'MiB')}, state "
            f"{text(row['state_bytes'], 'MiB')} at {height} x {width}{free}; grows with {row['grows_with']}"
        )
        out += [f"    {remedy}" for remedy in row["remedies"] if not row["fits"]]
    return out


def points(rows: Sequence[Mapping[str, Any]], key: str) -> list[Point]:
    """Detectors that have an accuracy and a cost.

    Args:
        key: "latency_ms_p50", or a key in bytes, which becomes MiB.
    """
    scale = MIB if key.endswith("_bytes") else 1
    return [
        Point(row["name"], row[key] / scale, row["image_auroc"], bool(row.get("added")))
        for row in rows
        if row.get("image_auroc") is not None and row.get(key)
    ]


def half_side(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that halve the side of the model's input.

    >>> half_side({"image_side": 256, "image_hw": None, "crop_hw": None})
    {'image_side': 128}
    >>> half_side({"image_side": 256, "image_hw": [256, 320], "crop_hw": [224, 224]})
    {'image_hw': [128, 160], 'crop_hw': [112, 112]}
    """
    if settings["image_hw"] is None:
        return {"image_side": max(1, settings["image_side"] // 2)}
    keys = [key for key in ("image_hw", "crop_hw") if settings[key] is not None]
    return {key: [max(1, side // 2) for side in settings[key]] for key in keys}
