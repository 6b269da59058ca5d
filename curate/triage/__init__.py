"""Triage operators: one human decision about some samples, table to table.

Each module has `run(samples, *, by, at, **options)`. `samples` has the columns sample_id, sha256,
label, defect_types, verdict and mask (what holds at the time); the answer has the columns of
data_schemas/verdict.json, one row per decision. For accept_mask there are columns that tell of the
mask that is proposed, as a person may have edited it, see there.
"""

from curate.registry import Entry

TRIAGE = {
    "accept_normal": Entry("curate.triage.accept_normal", "Accept as normal"),
    "mark_anomalous": Entry("curate.triage.mark_anomalous", "Mark as anomalous, with a defect type"),
    "accept_mask": Entry(
        "curate.triage.accept_mask", "Mark as anomalous, with the proposed mask as ground truth"
    ),
    "reject_mask": Entry("curate.triage.reject_mask", "The proposed mask is wrong; the label stays"),
    "unsure": Entry("curate.triage.unsure", "Unsure: ask for a second opinion; the label stays"),
    "skip": Entry("curate.triage.skip", "Skip: seen, but not decided"),
    "undo": Entry("curate.triage.undo", "Undo the last verdict"),
}
