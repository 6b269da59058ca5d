"""The gateway: lets people in, judges what they ask, and passes it on to their App server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from curate.gateway import pages
from curate.gateway.errorlog import FILE, ErrorLog
from curate.gateway.limits import Failures, client
from curate.gateway.outer import TOLD
from curate.gateway.passing import passed
from curate.gateway.people import Full, People, Upstream
from curate.gateway.requests import Refused, form_of, json_of, query_of
from curate.gateway.rules import Asked, Shared, judge
from curate.gateway.sessions import Sessions
from curate.gateway.tokens import Access, Person

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
READY_LIMIT_S = 60.0
SLOW_DOWN = "Too many wrong tokens. Try again in {minutes} min."


class _Known(NamedTuple):
    """Who asks, and by which session; None = by a token of its own."""

    person: Person
    session: str | None


@dataclass
class Gateway:
    """What the gateway holds while it serves.

    Attributes:
        opening: the query with which the page is opened first, with its "?".
        cookie: its name; cookies are shared by all ports of a host, so the port belongs into it.
    """

    shared: Shared
    opening: str
    access: Access
    people: People
    tls: bool
    port: int
    errors: ErrorLog

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.access)
        self.failures = Failures()
        self.cookie = f"{'__Host-' if self.tls else ''}curate-{self.port}"

    def application(self) -> Starlette:
        """The application without what holds for every request; see outer."""
        return Starlette(
            routes=[
                Route("/login", self.login, methods=["GET", "POST"]),
                Route("/logout", self.logout, methods=["POST"]),
                Route("/{path:path}", self.anything, methods=METHODS),
            ],
            exception_handlers={Refused: _refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        tending = asyncio.create_task(self.people.tend())
        try:
            yield
        finally:
            tending.cancel()
            await self.people.close()

    # ---- who asks

    async def login(self, request: Request) -> Response:
        """Shows the form; takes the token."""
        name = self.shared.name
        if request.method != "POST":
            known = self._known(request)
            if known is None:
                return pages.log_in(name, self._wanted(""), status=200)
            return pages.logged_in(name, *known.person[:2], self.shared.page + self.opening)
        form = await form_of(request)
        wanted = self._wanted(form.get("next", ""))
        person, wait_s = self._checked(request, form.get("token", "").strip())
        if wait_s:
            text = SLOW_DOWN.format(minutes=-(-wait_s // 60))
            return pages.log_in(name, wanted, text, 429, retry_after=str(wait_s))
        if person is None:
            return pages.log_in(name, wanted, pages.WRONG)
        answer = RedirectResponse(wanted, 303)
        session = self.sessions.begin(person)
        answer.set_cookie(self.cookie, session, path="/", secure=self.tls, httponly=True, samesite="strict")
        return answer

    async def logout(self, request: Request) -> Response:
        """Ends the session."""
        self._known(request)  # for the log
        self.sessions.end(request.cookies.get(self.cookie, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self.cookie, path="/", secure=self.tls, httponly=True, samesite="strict")
        return answer

    def _known(self, request: Request) -> _Known | None:
        """Who asks.

        Raises:
            Refused: a token that does not hold, or one too many.
        """
        told = request.headers.get("authorization")
        session = None
        if told is not None:
            kind, _, token = told.partition(" ")
            person, wait_s = self._checked(request, token.strip() if kind.lower() == "bearer" else "")
            if wait_s:
                raise Refused(429, SLOW_DOWN.format(minutes=-(-wait_s // 60)), {"retry-after": str(wait_s)})
            if person is None:
                raise Refused(401, "This token does not let you in.")
        else:
            session = request.cookies.get(self.cookie, "")
            person = self.sessions.person(session)
        if person is None:
            return None
        request.scope[TOLD]["person"] = person.name
        return _Known(person, session)

    def _checked(self, request: Request, token: str) -> tuple[Person | None, int]:
        """Whom a token lets in, and for how many seconds this client may not try at all."""
        who = client(request.client.host if request.client else "")
        if wait_s := self.failures.wait_s(who):
            request.scope[TOLD]["what"] = "login: too many failures"
            return None, wait_s
        person = self.access.person(token)
        if person is None:
            self.failures.note(who)
            request.scope[TOLD]["what"] = "login: wrong token"
        else:
            request.scope[TOLD] |= {"person": person.name}
        return person, 0

    def _still_in(self, known: _Known) -> bool:
        if known.session is None:
            return self.access.again(known.person.key) is not None
        return self.sessions.person(known.session) is not None

    def _wanted(self, told: str) -> str:
        """Where to go after the login: this dataset's page, and nowhere else."""
        path, mark, query = told.partition("?")
        clean = query.isascii() and query.isprintable()
        return path + mark + query if path == self.shared.page and clean else self.shared.page + self.opening

    # ---- what is asked

    async def anything(self, request: Request) -> Response:
        """Every request but login and logout."""
        known = self._known(request)
        if known is None:
            return self._not_in(request)
        path, told = request.scope["path"], request.scope[TOLD]
        if path == "/" and request.method in ("GET", "HEAD"):
            return RedirectResponse(self.shared.page + self.opening, 303)
        query = query_of(request)
        body = await json_of(request) if request.method in ("POST", "PATCH") else None
        answer = judge(Asked(request.method, path, query, body), self.shared, known.person.role == "deciding")
        told["what"] = answer.what
        if answer.refused:
            told["what"] = f"{answer.what} refused: {answer.refused}".strip()
            return _not_allowed(answer.refused)
        try:
            upstream = self.people.of(known.person)
        except Full:
            return pages.full(self.people.n_people)
        if not upstream.ready.is_set():
            if path == self.shared.page:
                return pages.wait(self.shared.name)
            await _until_ready(upstream)
        content = (
            None if body is None else json.dumps(body).encode()
        )  # read once, and nobody reads it otherwise

        def note(error: str) -> str:
            what = f"{request.method} {path} {answer.what}".strip()
            told["what"] = f"{answer.what} failed, see {FILE}".strip()
            return self.errors.note(known.person.name, what, error)

        back = await passed(
            upstream, request.method, _target(path, query), request.headers, content,
            still_in=lambda: self._still_in(known), note=note,
        )  # fmt: skip
        if path == "/media" and back.status_code == 403:
            told["what"] = "refused: a file that is not of the dataset"
        return back

    def _not_in(self, request: Request) -> Response:
        """The answer to one who is not logged in."""
        path = request.scope["path"]
        if request.method != "GET" or path not in ("/", self.shared.page):
            return PlainTextResponse("Log in first.\n", 401)
        query = request.scope["query_string"].decode("latin-1")
        wanted = self._wanted(f"{path}?{query}" if query else path)
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return pages.again(wanted)
        return pages.log_in(self.shared.name, wanted)


async def _until_ready(upstream: Upstream) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(upstream.ready.wait(), READY_LIMIT_S)
    if not upstream.ready.is_set():
        raise Refused(503, "The page is being started.", {"retry-after": "5"})


def _target(path: str, query: tuple[tuple[str, str], ...]) -> bytes:
    """The address as it is sent on: written anew from what was judged."""
    return (quote(path) + ("?" + urlencode(query) if query else "")).encode("ascii")


def _not_allowed(reason: str) -> Response:
    """In the form in which FiftyOne's page shows errors."""
    return JSONResponse({"error": f"The shared page does not allow {reason}.", "kind": "Not allowed"}, 403)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.answer()
