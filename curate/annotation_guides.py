"""The README of a package: how to get it into the tool, and the answers back; docs/annotate.md has more."""

from curate.annotation_tasks import CHECKED, NORMAL, UNSURE, Job

SHAPES = {"brush": "mask", "polygon": "polygon", "box": "box"}
CVAT = """\
Into CVAT
1. Create a task: Tasks > + > Create a new task. Any name will do.
2. Labels: press "Raw", replace what is there by the content of labels.json, press "Done".
3. Select files: all files of images/. Submit.
4. On the task's page: Actions > Upload annotations > "CVAT 1.1", choose annotations.xml.
   The proposals are on the images now.

What an annotator does with each image
- A proposal that is right stays; one that is not is corrected or deleted; a missing {shape} is drawn.
- No defect on it: delete all proposals and add the tag "{normal}" (Setup tag, or Workspace > Tag annotation).
- Cannot be told: the tag "{unsure}". A second opinion is then asked for.
- All proposals right as they are: the tag "{checked}", because CVAT does not tell that somebody looked.

Back
1. Actions > Export task dataset > "CVAT for images 1.1", without images.
2. curate annotate receive {name} --tool cvat FILE.zip --by PERSON
   (--finished: every image was looked at, so proposals that did not change count as accepted without a tag)
"""
LABEL_STUDIO = """\
Into Label Studio
1. Label Studio must be allowed to show files of its own machine. Copy this folder there, and start it with
   LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
   LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=THE FOLDER THAT THIS FOLDER LIES IN
   and keep the name of this folder, because the tasks look for {prefix}
2. Create a project. Labeling Setup > Custom template: replace the code by label_config.xml, press "Save".
3. Settings > Cloud Storage > Add Source Storage > Local files: the absolute path of images/ in this folder.
   Save, do not sync: it only permits the project to show the files.
4. Import: tasks.json.
5. Settings > Annotation: "Use predictions to prelabel tasks" on.

What an annotator does with each image
- A proposal that is right stays; one that is not is corrected or deleted; a missing {shape} is drawn.
- No defect on it: delete all proposals and choose "{normal}".
- Cannot be told: choose "{unsure}". A second opinion is then asked for.
- Then "Submit". An image that was skipped, or not submitted, gives no verdict.

Back
1. Export > JSON (not JSON-MIN).
2. curate annotate receive {name} --tool label_studio FILE.json
"""
GUIDES = {"cvat": CVAT, "label_studio": LABEL_STUDIO}
HEAD = """\
{n} images of the dataset {name}, package {package}, made by curate for {tool}

Keep the names of the images: they carry the sample, and the answers are found by them.
Labels of defects: {labels}. "{any}" is a defect of a type that is not listed.

"""


def readme(tool: str, job: Job, n_images: int) -> str:
    """Text of the README of a package; the first label is that of a defect of no stated type."""
    told = {
        "n": n_images, "name": job.name, "package": job.package, "tool": tool, "any": job.labels[0],
        "labels": ", ".join(job.labels), "shape": SHAPES[job.kind], "prefix": job.image_prefix,
        "normal": job.tags[NORMAL], "unsure": job.tags[UNSURE], "checked": job.tags[CHECKED],
    }  # fmt: skip
    return (HEAD + GUIDES[tool]).format(**told)
