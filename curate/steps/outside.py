"""Where files that a person asks for may go: never in the place of what curate keeps."""

from pathlib import Path

from curate.steps.record import Context


def outside(context: Context, **targets: Path | None) -> None:
    """Refuse targets that would take the place of something else.

    Args:
        targets: by option ("table", "out"); None where it was not given.

    Raises:
        ValueError: a target is a folder, lies among the files of a dataset, or is there twice.
    """
    seen: dict[Path, str] = {}
    kept = (context.workspace.home / "datasets").resolve()
    for option, path in targets.items():
        if path is None:
            continue
        name, target = f"--{option.replace('_', '-')}", path.resolve()
        if target.is_dir():
            raise ValueError(f"Expected a file for {name}; {path} is a folder.")
        if target.is_relative_to(kept):
            raise ValueError(
                f"Expected a file outside {kept} for {name}; found {path}. What lies there is kept by curate "
                "itself, and would be lost."
            )
        if target in seen:
            raise ValueError(f"Expected two files for {seen[target]} and {name}; both are {path}.")
        seen[target] = name
