"""The gateway's own pages: log in, who is logged in, please wait. They load nothing and need no script."""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import HTMLResponse

from curate.gateway.headers import PLAIN_POLICY

WRONG = "This token does not let you in. Ask the person who gave it to you for a new one."
LOG_IN = """<p>Dataset $dataset. Your access token shows whose decisions you make.</p>
$fault<form method="post" action="/login">
<label for="token">Access token</label>
<input id="token" name="token" type="password" autocomplete="current-password"
  maxlength="200" required autofocus>
<input name="next" type="hidden" value="$next">
<button>Log in</button>
</form>"""
LOGGED_IN = """<p>Dataset $dataset. You are logged in as <b>$person</b>, $role.</p>
<a class="button" href="$page">Open the page</a>
<form class="beside" method="post" action="/logout"><button class="quiet">Log out</button></form>"""
ROLES = {"reading": "who may look", "deciding": "who may look and decide"}


@cache
def _whole() -> Template:
    return Template(files("curate.gateway").joinpath("pages.html").read_text(encoding="utf-8"))


def _page(title: str, content: str, status: int, refresh: str = "", **headers: str) -> HTMLResponse:
    told = f'<meta http-equiv="refresh" content="{escape(refresh)}">' if refresh else ""
    text = _whole().substitute(title=escape(title), content=content, refresh=told)
    common = {"content-security-policy": PLAIN_POLICY, "cache-control": "no-store"}
    return HTMLResponse(text, status, {**common, **{k.replace("_", "-"): v for k, v in headers.items()}})


def log_in(dataset: str, wanted: str, fault: str = "", status: int = 401, **headers: str) -> HTMLResponse:
    """The page that asks for a token.

    Args:
        wanted: where to go afterwards.
        fault: what went wrong, in words.
    """
    told = f'<p class="fault" role="alert">{escape(fault)}</p>\n' if fault else ""
    content = Template(LOG_IN).substitute(dataset=_named(dataset), fault=told, next=escape(wanted))
    return _page("Log in to curate", content, status, **headers)


def logged_in(dataset: str, person: str, role: str, page: str) -> HTMLResponse:
    """The page that says who is logged in."""
    content = Template(LOGGED_IN).substitute(
        dataset=_named(dataset), person=escape(person), role=ROLES[role], page=escape(page)
    )
    return _page("curate", content, 200)


def wait(dataset: str) -> HTMLResponse:
    """The page that comes until a person's server answers; it loads itself again."""
    content = f"<p>Dataset {_named(dataset)}. Your page is being started; this takes some seconds.</p>"
    return _page("Please wait", content, 503, refresh="2", retry_after="2")


def full(n_people: int) -> HTMLResponse:
    """The page for one person too many."""
    content = f"<p>{n_people} people are at work, as many as this machine serves. Try again later.</p>"
    return _page("No place is free", content, 503, refresh="30", retry_after="30")


def again(wanted: str) -> HTMLResponse:
    """A page that loads itself again: a browser that follows another site's link leaves its cookie out."""
    return _page("One moment", "<p>Opening the page.</p>", 200, refresh=f"0;url={wanted}")


def _named(dataset: str) -> str:
    return f"<b>{escape(dataset)}</b>"
