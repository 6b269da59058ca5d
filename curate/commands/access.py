"""curate access: who may open a dataset's shared page."""

from typing import Annotated, Any

import typer

from curate.shell import Home, Json, Name, command

PersonName = Annotated[str, typer.Argument(help="Whom it concerns; the name stands in the verdicts.")]
app = typer.Typer(help="Give and take access tokens for curate triage --host.", no_args_is_help=True)


@app.command("add")
def add(
    name: Name,
    person: PersonName,
    read_only: Annotated[bool, typer.Option("--read-only", help="May look, but not decide.")] = False,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36_500, help="Ends after so many days.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a person in: prints a token, this once."""
    arguments = {"action": "add", "name": name, "person": person, "read_only": read_only, "days": days}
    with command("access", home, as_json, arguments) as job:
        from curate.steps import access

        job.result(access.add(job.workspace.existing(name), person, read_only, days), _added)


@app.command("list")
def listed(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Tell who was ever let in, and whose token holds."""
    with command("access", home, as_json, {"action": "list", "name": name}) as job:
        from curate.steps import access

        job.result(access.people(job.workspace.existing(name)), _listed)


@app.command("revoke")
def revoke(name: Name, person: PersonName, home: Home = None, as_json: Json = False) -> None:
    """Let a person in no more, from this moment."""
    with command("access", home, as_json, {"action": "revoke", "name": name, "person": person}) as job:
        from curate.steps import access

        job.result(access.revoke(job.workspace.existing(name), person), _revoked)


def _added(content: dict[str, Any]) -> str:
    may = "decide" if content["role"] == "deciding" else "look, but not decide"
    until = "until you revoke it" if content["days"] is None else f"for {content['days']} days"
    return (
        f"{content['token']}\n\n"
        f'This token lets {content["person"]} {may} in "{content["dataset"]}", {until}.\n'
        "It is shown this once; hand it over where nobody else reads it."
    )


def _revoked(content: dict[str, Any]) -> str:
    return f"{content['person']} is let in no more, and is logged out where the page is being served."


def _listed(content: dict[str, Any]) -> str:
    if not content["people"]:
        return f"Nobody yet. Let a person in with: curate access add {content['dataset']} PERSON"
    width = max(len(row["person"]) for row in content["people"])
    return "\n".join(
        f"{row['person']:<{width}}  {row['role']:<8}  {row['state']:<7}  since {row['added_at'][:10]}"
        + (f", until {row['expires_at'][:10]}" if row["expires_at"] else "")
        for row in content["people"]
    )
