"""The workspace folder: where a run keeps its database, maps, detectors, records and exports."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from curate.errors import AlreadyExists, CurateError, Missing

DEFAULT_HOME = "~/.curate"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class DatasetPaths:
    """Files of one dataset inside a workspace."""

    root: Path

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.root.name

    @property
    def sources(self) -> Path:
        """One sample table per source."""
        return self.root / "sources"

    @property
    def samples(self) -> Path:
        """The sample table of all sources."""
        return self.root / "samples.parquet"

    @property
    def faults(self) -> Path:
        """Faults met while ingesting."""
        return self.root / "faults.json"

    @property
    def masks(self) -> Path:
        """Canonical ground-truth masks, one 0/255 PNG per sample that has one."""
        return self.root / "masks"

    @property
    def mask_facts(self) -> Path:
        """What ingest counted in the ground-truth masks."""
        return self.root / "mask_facts.parquet"

    @property
    def media(self) -> Path:
        """Copies for the browser of images that it cannot show."""
        return self.root / "media"

    @property
    def pages(self) -> Path:
        """Further pages of files with several pictures, one PNG each."""
        return self.root / "pages"

    @property
    def file_cache(self) -> Path:
        """What is known of files that did not change; may be deleted."""
        return self.root / "files.sqlite"

    @property
    def findings(self) -> Path:
        """Results of the checks."""
        return self.root / "findings.parquet"

    @property
    def quality(self) -> Path:
        """Numbers about each image, of the last checks."""
        return self.root / "quality.parquet"

    @property
    def fixes(self) -> Path:
        """What `curate check --fix` mended, one JSON line each."""
        return self.root / "fixes.jsonl"

    @property
    def split(self) -> Path:
        """Assigned split of every sample."""
        return self.root / "split.parquet"

    @property
    def threshold(self) -> Path:
        """The chosen thresholds and what they give on the test part."""
        return self.root / "threshold.json"

    @property
    def decisions(self) -> Path:
        """Every decision about thresholds, one file each."""
        return self.root / "decisions"

    @property
    def threshold_picture(self) -> Path:
        """Scores with the thresholds that rules choose."""
        return self.root / "threshold.png"

    @property
    def verdicts(self) -> Path:
        """Mirror of the human verdicts, one JSON line each."""
        return self.root / "verdicts.jsonl"

    @property
    def drawn_masks(self) -> Path:
        """Masks that people accepted or drew, named by sample and digest; verdicts name them."""
        return self.root / "drawn_masks"

    @property
    def steps(self) -> Path:
        """Record of every finished step."""
        return self.root / "steps"

    @property
    def sent(self) -> Path:
        """What was sent to outside annotators: the manifest of each package."""
        return self.root / "sent"

    @property
    def exports(self) -> Path:
        """Exports that were not given another place."""
        return self.root / "exports"

    def detector(self, name: str) -> Path:
        """State, predictions and maps of one detector."""
        return self.root / "detectors" / file_name(name)

    def detectors(self) -> list[str]:
        """Names of the detectors that have predictions, sorted."""
        found = self.root.glob("detectors/*/predictions.parquet")
        return sorted(unquote(path.parent.name) for path in found)

    def score_step(self, detector: str) -> str:
        """Name of the step that fits one detector and scores every image."""
        return f"score-{file_name(detector)}"


@dataclass(frozen=True)
class Workspace:
    """A folder that holds everything a run makes; two workspaces share nothing."""

    home: Path

    @classmethod
    def at(cls, home: Path | None = None) -> "Workspace":
        """The workspace in `home`, else in $CURATE_HOME, else in ~/.curate; made if absent.

        Raises:
            CurateError: the place is a file, or may not be written.
        """
        chosen = home or Path(os.environ.get("CURATE_HOME") or DEFAULT_HOME)
        folder = chosen.expanduser().absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CurateError(
                f"CurateError: the workspace {folder} cannot be made ({error.strerror}). "
                "Choose another folder with --home or CURATE_HOME."
            ) from error
        if not os.access(folder, os.W_OK):
            raise CurateError(
                f"CurateError: the workspace {folder} may not be written. "
                "Choose another folder with --home or CURATE_HOME."
            )
        return cls(folder)

    @property
    def runs(self) -> Path:
        """One folder per command that ran."""
        return self.home / "runs"

    @property
    def cache(self) -> Path:
        """Exported backbones; may be deleted at any time."""
        return self.home / "cache"

    def dataset(self, name: str) -> DatasetPaths:
        """Paths of a dataset, which need not exist yet.

        Raises:
            ValueError: the name is not fit for a folder and a database.
        """
        if not NAME.fullmatch(name):
            raise ValueError(
                f'Dataset name "{name}" must have 1 to 80 letters, digits, ".", "_" or "-", '
                "and begin with a letter or digit."
            )
        return DatasetPaths(self.home / "datasets" / name)

    def existing(self, name: str) -> DatasetPaths:
        """Paths of a dataset that was ingested.

        Raises:
            Missing: there is none of this name; the message lists those there are.
        """
        paths = self.dataset(name)
        if not paths.samples.exists():
            known = ", ".join(self.names()) or "none yet"
            raise Missing(
                f'Missing: workspace {self.home} has no dataset "{name}" (it has: {known}). '
                "Make it with: curate ingest SOURCE --name NAME"
            )
        return paths

    def check_new(self, name: str) -> None:
        """Raise when a dataset that does not exist yet is too much like another one.

        Raises:
            AlreadyExists: names that differ only in capitals or punctuation have one address in the App.
        """
        known = self.names()
        alike = [other for other in known if _address(other) == _address(name)]
        if alike and name not in known:
            raise AlreadyExists(
                f'AlreadyExists: the dataset cannot be called "{name}", because there is "{alike[0]}". Names '
                "that differ only in capitals or punctuation have one address in the App: choose another "
                "with --name."
            )

    def names(self) -> list[str]:
        """Names of the datasets that were ingested."""
        return sorted(p.parent.name for p in self.home.glob("datasets/*/samples.parquet"))


def file_name(name: str) -> str:
    """A file or folder name for a detector's name, which may have a colon.

    >>> file_name("tiled:padim")
    'tiled%3Apadim'
    """
    return quote(name, safe="")


def _address(name: str) -> str:
    """A dataset's name as it stands in the App's addresses."""
    return re.sub(r"[._-]+", "-", name).strip("-").lower()


def dataset_name(text: str) -> str:
    """A dataset name made from any text, such as a folder's name.

    >>> dataset_name("Linie 3: Träger")
    'Linie-3-Trager'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:80]
    return cleaned or "dataset"
