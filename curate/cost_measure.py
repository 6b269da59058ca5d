"""Measures one detector: a fit, then predictions, each in a fresh process; and how the fit grows."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.cost import half_side, quantile
from curate.cost_forecast import growth, half, need
from curate.cost_process import NotMeasured, ask, busy
from curate.files import writing

Row = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """What is measured, and where.

    Attributes:
        detector: key of detectors.DETECTORS, or a wrapper with one.
        config: "profile" and fields of the detector's config.
        train: normal images to fit on: sample_id, filepath, height, width.
        shown: images to predict on.
        n_timed: how many of them one by one.
        measure_growth: by further fits, also where the detector can forecast.
        cache: where exported backbones are kept between runs.
        work: folder for the fitted states; emptied before and removed afterwards.
        n_cores: that this process may use.
    """

    detector: str
    config: Mapping[str, Any]
    train: Sequence[Row]
    shown: Sequence[Row]
    n_timed: int
    measure_growth: bool
    cache: Path
    work: Path
    n_cores: int

    def run(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Measure; keys of data_schemas/cost.json, and scores by sample_id.

        Args:
            say: told what begins.

        Raises:
            NotMeasured: the fit or the predictions failed; says how.
        """
        self._clear()
        with writing(self.work):
            self.work.mkdir(parents=True)
        try:
            say(f"{self.detector}: fitting on {len(self.train)} images in a fresh process")
            noise = busy(self.n_cores)
            fitted = self._fit(self.config, self.train)
            say(f"{self.detector}: predicting in a fresh process")
            request = {
                "state": str(self.work / "state"),
                "device": fitted["settings"]["device"],
                "cache": str(self.cache),
                "rows": list(self.shown),
                "n_timed": self.n_timed,
            }
            shown = ask("predict", request, self.work)
            told = {"warnings": fitted["warnings"] + noise, "growth": self._growth(fitted, say)}
            return _joined(fitted, shown) | told
        finally:
            self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def _fit(self, config: Mapping[str, Any], rows: Sequence[Row], folder: str = "state") -> dict[str, Any]:
        request = {
            "detector": self.detector,
            "config": dict(config),
            "cache": str(self.cache),
            "folder": str(self.work / folder),
            "rows": list(rows),
        }
        return ask("fit", request, self.work)

    def _growth(self, fitted: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """By forecast where there is one, which costs nothing, else by two smaller fits."""
        if fitted["forecast"] is not None and not self.measure_growth:
            sizes = [(row["height"], row["width"]) for row in self.train if row.get("height")]
            if sizes:
                return growth(self.detector, self.config, fitted["settings"], len(self.train), sizes)
        say(f"{self.detector}: fitting on half the images, then at half the image side")
        smaller = {**self.config, **half_side(fitted["settings"])}
        return {
            "from": "measured",
            "whole": need(_beyond_libraries(fitted)),
            "half_images": self._smaller(self.config, _spread(self.train, half(len(self.train)))),
            "half_side": self._smaller(smaller, self.train),
        }

    def _smaller(self, config: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
        try:
            return need(_beyond_libraries(self._fit(config, rows, "smaller")))
        except NotMeasured as error:  # settings that nobody typed may not suit the detector
            return need({"error": str(error)})


def _spread(rows: Sequence[Row], n: int) -> list[Row]:
    """n rows from all over the list."""
    return [rows[index * len(rows) // n] for index in range(n)]


def _beyond_libraries(fitted: Mapping[str, Any]) -> dict[str, Any]:
    base = fitted["fit_base_rss_bytes"] or 0
    return {
        "fit_bytes": max(0, fitted["fit_peak_rss_bytes"] - base),
        "state_bytes": fitted["state_bytes"],
    }


def _joined(fitted: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """One record from the answers of both processes."""
    warm = shown["latencies_ms"]
    out = {**fitted, **shown, "pids": {"fit": fitted["pid"], "predict": shown["pid"]}}
    out |= {
        "profile": fitted["settings"]["profile"],
        "latency_ms_p50": quantile(warm, 0.5),
        "latency_ms_p95": quantile(warm, 0.95),
        "n_timed": len(warm),
    }
    for key in ("pid", "latencies_ms"):
        del out[key]
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in out.items()}
