"""Which operators other people may run: one table. An operator that is not in it is run for nobody.

Of FiftyOne's own there are few on purpose: others read or write files, delete datasets, change fields. Each
of ours must be here; a test compares.
"""

from collections.abc import Mapping
from typing import Any

READING = frozenset({
    "@voxel51/operators/get_label_schemas",
    "@voxel51/operators/get_field_schema",
    "@voxel51/operators/list_saved_views",
    "@voxel51/operators/list_workspaces",
    "@voxel51/operators/load_saved_view",
    "@voxel51/operators/load_workspace",
    "@curate/compare/compare_look",
    "@curate/compare/compare_embed",
    "@curate/density/density_images",
    "@curate/density/density_look",
    "@curate/panel/panel_queues",
    "@curate/panel/panel_state",
    "@curate/threshold/threshold_scores",
    "@curate/triage/keys_begin",
    "@curate/triage/keys_strongest",
})  # fmt: skip
DECIDING = frozenset({
    "@curate/threshold/threshold_store",
    "@curate/triage/accept_mask",
    "@curate/triage/accept_mask_here",
    "@curate/triage/accept_normal",
    "@curate/triage/accept_normal_here",
    "@curate/triage/keys_decide",
    "@curate/triage/mark_anomalous",
    "@curate/triage/mark_anomalous_here",
    "@curate/triage/reject_mask",
    "@curate/triage/reject_mask_here",
    "@curate/triage/skip",
    "@curate/triage/skip_here",
    "@curate/triage/undo",
    "@curate/triage/undo_here",
    "@curate/triage/unsure",
    "@curate/triage/unsure_here",
})  # fmt: skip
# with this parameter an operator that otherwise reads begins work
WORKS_WITH = {"@curate/compare/compare_embed": "start"}
OWN = "@curate/"
# nothing is left to be done later, elsewhere, or in many parts
NEVER_ASKED = ("request_delegation", "delegation_target", "num_distributed_tasks", "delegated")


def may_run(uri: object, params: object, deciding: bool) -> bool:
    """Whether a person may run the operator of this name with these parameters."""
    if not isinstance(uri, str):
        return False
    works = WORKS_WITH.get(uri)
    if works is not None and isinstance(params, Mapping) and params.get(works):
        return deciding
    return uri in READING or (deciding and uri in DECIDING)


def left_for_later(body: Mapping[str, Any]) -> bool:
    """Whether a request asks that an operator is run later or elsewhere."""
    return any(body.get(key) for key in NEVER_ASKED)
