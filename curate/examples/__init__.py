"""Examples of data as it comes from outside, written on the spot, with faults planted in them.

An example has `write(out, seed) -> list[Planted]`, one entry per fault that taking it in must report.
"""

from curate.registry import Entry

EXAMPLES = {
    "fpc": Entry("curate.examples.fpc", "export of an inspection machine for flexible printed circuits"),
}
