"""A dataset's recipe, dataset.toml: read, checked, with its defaults filled in."""

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import CurateError, Missing, listed
from curate.schema import faults

THRESHOLD = ("params", "level", "group", "defect_rate")
DEFAULT_DETECTOR: dict[str, Any] = {"name": "padim"}


@dataclass(frozen=True)
class Source:
    """One pile of images to take in."""

    path: Path
    format: str = "auto"
    name: str | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def reader_options(self) -> dict[str, Any]:
        """Everything that the reader is given besides the folder."""
        return {**self.options, **({"mapping": self.mapping} if self.mapping else {})}


@dataclass(frozen=True)
class Export:
    """One export to write; without `out` it goes into the workspace."""

    format: str = "mvtec_ad"
    out: Path | None = None


@dataclass(frozen=True)
class Recipe:
    """What `curate build` does, step by step."""

    name: str
    sources: list[Source]
    seed: int = 0
    stop_on: str = "error"
    gate: Path | None = None
    checks: list[str] | None = None
    split_policy: str = "auto"
    split_group: str = "part_id"
    fractions: dict[str, float] = field(default_factory=dict)
    detectors: list[dict[str, Any]] = field(default_factory=lambda: [dict(DEFAULT_DETECTOR)])
    learning: dict[str, Any] = field(default_factory=dict)  # fields of score_training.Choice
    threshold_rule: str = "f1_max"
    threshold_detector: str | None = None
    threshold_settings: dict[str, Any] = field(default_factory=dict)  # fields of threshold_params.Settings
    exports: list[Export] = field(default_factory=lambda: [Export()])


def load(path: Path) -> Recipe:
    """Read a recipe and resolve its relative paths against its own folder.

    Raises:
        Missing: there is no such file.
        CurateError: it is not TOML, or breaks data_schemas/recipe.json; all faults are listed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing(
            f"Missing: there is no recipe {path}. `curate demo` writes one to begin with."
        ) from error
    except OSError as error:
        raise CurateError(
            f"CurateError: the recipe {path} cannot be read ({error.strerror}). Expected a TOML file "
            "that you may read."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CurateError(f"CurateError: {path} is not a TOML file: {error}.") from error
    broken = [
        line.removeprefix("recipe 0, ").removeprefix("recipe 0: ")
        for line in faults([content], "recipe", where="recipe")
    ]
    broken += _unknown_parts(content)
    broken += [] if broken else _bad_fractions(content) + _bad_threshold(content)
    if broken:
        raise CurateError(
            f"CurateError: {path} breaks the contract data_schemas/recipe.json:\n{listed(broken)}"
        )
    return _build(content, path.absolute().parent)


def _unknown_parts(content: dict[str, Any]) -> list[str]:
    """Names of formats, checks, rules, detectors and exporters that do not exist."""
    from curate.checks import CHECKS
    from curate.exporters import EXPORTERS
    from curate.formats import FORMATS
    from curate.thresholds import THRESHOLDS
    from detectors import DETECTORS

    def unknown(kind: str, name: Any, known: Any) -> list[str]:
        if not isinstance(name, str) or name in known:
            return []
        return [f'unknown {kind} "{name}"; known: {", ".join(known)}']

    def tables(key: str) -> list[dict[str, Any]]:
        value = content.get(key, [])
        return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []

    def table(key: str) -> dict[str, Any]:
        value = content.get(key, {})
        return value if isinstance(value, dict) else {}

    lines = []
    for source in tables("sources"):
        lines += unknown("format", source.get("format", "auto"), ["auto", *FORMATS])
    names = table("checks").get("names", [])
    for name in names if isinstance(names, list) else []:
        lines += unknown("check", name, CHECKS)
    for export in tables("exports"):
        lines += unknown("export format", export.get("format", "mvtec_ad"), EXPORTERS)
    lines += unknown("threshold rule", table("threshold").get("rule", "f1_max"), THRESHOLDS)
    detectors = [row.get("name") for row in tables("detectors")]
    for name in detectors:
        lines += unknown("detector", name, [*DETECTORS, *filter(_is_wrapped, [name])])
    lines += [
        f'the detector "{name}" is there twice' for name, n in Counter(map(str, detectors)).items() if n > 1
    ]
    chosen = table("threshold").get("detector")
    if chosen is not None and detectors and chosen not in detectors:
        lines.append(
            f'threshold.detector "{chosen}" is not among the detectors {", ".join(map(str, detectors))}'
        )
    return lines


def _is_wrapped(name: Any) -> bool:
    """Whether this names a detector inside of another, such as tiled:padim; told only by loading it."""
    if not isinstance(name, str) or ":" not in name:
        return False
    from detectors import detector_class

    try:
        detector_class(name)
    except ValueError:
        return False
    return True


def _bad_fractions(content: dict[str, Any]) -> list[str]:
    """Shares of the split that do not make a whole."""
    from curate.splits import Fractions

    try:
        Fractions(**content.get("split", {}).get("fractions", {}))
    except ValueError as error:
        return [f"split.fractions: {error}"]
    return []


def _bad_threshold(content: dict[str, Any]) -> list[str]:
    """Parameters that the rule does not have, or a level it does not work on."""
    from curate.threshold_params import Settings, choice

    given = content.get("threshold", {})
    settings = Settings(**{key: given[key] for key in THRESHOLD if key in given})
    try:
        choice("", given.get("rule", "f1_max"), settings)
    except ValueError as error:
        return [f"threshold: {error}"]
    return []


def _build(content: dict[str, Any], folder: Path) -> Recipe:
    def resolve(text: str) -> Path:
        return (folder / Path(text).expanduser()).absolute()

    checks, split = content.get("checks", {}), content.get("split", {})
    threshold = content.get("threshold", {})
    return Recipe(
        name=content["name"],
        seed=content.get("seed", 0),
        sources=[
            Source(
                resolve(s["path"]),
                s.get("format", "auto"),
                s.get("name"),
                s.get("mapping", {}),
                _options(s.get("options", {}), resolve(s["path"]), folder),
            )
            for s in content["sources"]
        ],
        stop_on=checks.get("stop_on", "error"),
        gate=resolve(checks["gate"]) if "gate" in checks else None,
        checks=checks.get("names"),
        split_policy=split.get("policy", "auto"),
        split_group=split.get("group", "part_id"),
        fractions=split.get("fractions", {}),
        detectors=content.get("detectors", [dict(DEFAULT_DETECTOR)]),
        learning=_learning(content.get("score", {})),
        threshold_rule=threshold.get("rule", "f1_max"),
        threshold_detector=threshold.get("detector"),
        threshold_settings={key: threshold[key] for key in THRESHOLD if key in threshold},
        exports=[
            Export(e.get("format", "mvtec_ad"), resolve(e["out"]) if "out" in e else None)
            for e in content.get("exports", [{}])
        ],
    )


def _learning(score: dict[str, Any]) -> dict[str, Any]:
    """The table `score`, by the names that the step has for it."""
    names = {"fit_unknown": "fit_unknown", "with_anomalies": "n_anomalies", "robust": "robust"}
    return {name: score[key] for key, name in names.items() if key in score}


def _options(options: dict[str, Any], source: Path, folder: Path) -> dict[str, Any]:
    """Options with the files that they name made absolute, unless they are below the source."""
    from curate.formats import FILE_OPTIONS

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(item) for item in value]
        if not isinstance(value, str) or "*" in value or (source / value).is_file():
            return value
        return str((folder / Path(value).expanduser()).absolute())

    return {name: placed(value) if name in FILE_OPTIONS else value for name, value in options.items()}


def example(name: str, source: Path, format_name: str, seed: int = 0) -> str:
    """The text of a recipe for one source, to begin with and to edit."""
    import json

    return f"""# Recipe of a dataset. `curate build` runs it, and only what has changed since the last time.
name = {json.dumps(name)}
seed = {seed}

[[sources]]
path = {json.dumps(str(source), ensure_ascii=False)}
format = {json.dumps(format_name)}

[checks]
stop_on = "error"     # "error", "warning" or "never"

[split]
policy = "auto"       # "delivered", "random", or "auto": delivered where there is one
group = "part_id"     # images that share it stay together

[[detectors]]
name = "padim"

[threshold]
rule = "f1_max"       # `curate threshold NAME --advise` shows all rules; "max_normal" needs no defect

[[exports]]
format = "mvtec_ad"
"""
