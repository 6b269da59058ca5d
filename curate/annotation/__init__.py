"""Annotation tools that outsiders work with: our tasks as the tool's files, and its files as answers.

Each module has `files(tasks, job)`: the files of a package by name, and `read(content, sizes)`: what came
back, as curate.annotation_tasks.Answer. They see bytes only: nothing is opened, nothing in a file is trusted.
"""

from curate.registry import Entry

TOOLS = {
    "cvat": Entry("curate.annotation.cvat", "CVAT: CVAT for images 1.1 (XML)"),
    "label_studio": Entry("curate.annotation.label_studio", "Label Studio: tasks with predictions (JSON)"),
}
