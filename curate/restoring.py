"""Gives a reader back what an exported tree of folders cannot hold, from the manifest.json beside it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from curate.errors import CurateError
from curate.faults import Fault
from curate.files import read_json
from curate.walking import Tree

NAME = "manifest.json"
RESTORED = (
    "category", "label", "defect_types", "split", "part_id", "product", "lot", "panel", "station", "camera",
    "lighting", "captured_at", "site", "um_per_px", "boxes", "licence", "citation",
)  # fmt: skip


@dataclass
class Manifest:
    """Entries of the manifest by image path; empty for a tree that curate did not export."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def of(tree: Tree, faults: list[Fault]) -> "Manifest":
        """The manifest of a tree; one of another program counts as none, a damaged one is reported."""
        if NAME not in tree.files:
            return Manifest()
        try:
            content = read_json(tree.files[NAME])
        except CurateError as error:
            remedy = "Export again, or remove it."
            faults.append(Fault("bad_manifest", "error", NAME, f"{NAME} is not used: {error}", remedy))
            return Manifest()
        if not isinstance(content, dict) or "schema_version" not in content or "layout" not in content:
            return Manifest()
        entries = [
            entry for entry in content.get("images", []) if isinstance(entry, dict) and "path" in entry
        ]
        return Manifest({entry["path"]: entry for entry in entries})

    def restored(self, rows: Iterable[dict[str, Any]], faults: list[Fault]) -> list[dict[str, Any]]:
        """Rows with what the manifest knows about them; reports images that only one of the two has."""
        rows = list(rows)
        if not self.entries:
            return rows
        here = {row["relative_path"] for row in rows}
        for path in sorted(here ^ self.entries.keys()):
            where = "is not in the manifest" if path in here else "is in the manifest but not in the folder"
            remedy = "Export again, or ingest the original source."
            faults.append(Fault("manifest_mismatch", "warning", path, f"{path} {where}.", remedy))
        return [row | self._known(row["relative_path"]) for row in rows]

    def _known(self, path: str) -> dict[str, Any]:
        entry = self.entries.get(path, {})
        return {name: entry[name] for name in RESTORED if name in entry}
