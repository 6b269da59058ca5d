"""Triage operators: one human decision about some samples, table to table.

Each module has `run(samples, *, by, at, **options)`. `samples` has the columns sample_id, sha256,
label, defect_types and verdict (what holds at the time); the answer has the columns of
data_schemas/verdict.json, one row per decision.
"""

from curate.registry import Entry

TRIAGE = {
    "accept_normal": Entry("curate.triage.accept_normal", "Accept as normal"),
    "mark_anomalous": Entry("curate.triage.mark_anomalous", "Mark as anomalous, with a defect type"),
    "skip": Entry("curate.triage.skip", "Skip: seen, but not decided"),
    "undo": Entry("curate.triage.undo", "Undo the last verdict"),
}
