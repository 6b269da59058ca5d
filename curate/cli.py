"""The command line: finds the verb and imports nothing heavy."""

import importlib
import sys

import typer

VERBS = (
    "doctor",
    "demo",
    "example",
    "ingest",
    "check",
    "split",
    "score",
    "cost",
    "threshold",
    "evaluate",
    "sizes",
    "subset",
    "propose",
    "density",
    "annotate",
    "triage",
    "access",
    "verdicts",
    "export",
    "export-model",
    "verify",
    "build",
)

app = typer.Typer(
    name="curate",
    help="Turns piles of images into a checked, split, scored, triaged and exported dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _register() -> None:
    for verb in VERBS:
        module = importlib.import_module(f"curate.commands.{verb.replace('-', '_')}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=verb)  # it has verbs of its own
        else:
            app.command(verb)(module.run)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from curate import __version__

        typer.echo(f"curate {__version__}")
        raise typer.Exit(0)


def main() -> None:
    """Entry point of the `curate` script."""
    _register()
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()
