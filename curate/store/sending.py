"""What goes to outside annotators out of the database: the proposals as they are now."""

from collections.abc import Sequence

from curate.annotation_tasks import Region, region_of
from curate.store.failures import database_errors
from curate.store.fields import proposals_field
from curate.store.proposals import regions_of
from curate.store.verdicts import collection_of


@database_errors()
def proposed(
    dataset_name: str, detector: str, sample_ids: Sequence[str] | None = None
) -> dict[str, list[Region]]:
    """The proposed regions of samples that have some, by sample id, as a person may have edited them.

    The label of a region is "" unless a person gave it a defect type.

    Args:
        sample_ids: None: of all samples.
    """
    field = proposals_field(detector)
    where: dict[str, object] = {f"{field}.detections.0": {"$exists": True}}
    if sample_ids is not None:
        where["sample_id"] = {"$in": list(sample_ids)}
    wanted = {"sample_id": 1, "metadata.width": 1, "metadata.height": 1, field: 1}
    found = {}
    for row in collection_of(dataset_name).find(where, wanted).sort("sample_id", 1):
        image_hw = int(row["metadata"]["height"]), int(row["metadata"]["width"])
        regions = []
        for name, (x0, y0, _, _), mask in regions_of(row[field]["detections"], image_hw):
            region = region_of(name or "", mask, (x0, y0))
            regions += [region] if region else []
        if regions:
            found[row["sample_id"]] = regions
    return found
