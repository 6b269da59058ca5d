"""App servers for the gateway: one for each person, because all pages of one server show the same view.

Each server knows from its environment who the person is, so no request can decide under another name.
"""

import secrets
import subprocess
from pathlib import Path
from typing import Any

from curate.gateway.rules import Shared
from curate.store.app import ADDRESS, FIRST_VIEW, end_server, prepared_page, start_server
from curate.store.app import ended as told_end
from curate.store.appserver import ONLY, SECRET, SECRET_HEADER
from curate.store.dataset import load
from curate.workspace import Workspace


class PersonsServer:
    """The App server of one person; see curate.gateway.people.Running."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, secret: str, log: Path) -> None:
        self._process, self._log = process, log
        self.address = f"http://{ADDRESS}:{port}"
        self.headers = {SECRET_HEADER: secret}

    def fault(self) -> str | None:
        """Why the server has ended by itself; None = it runs."""
        return None if self._process.poll() is None else str(told_end(self._process, self._log))

    def end(self) -> None:
        """End the server; takes up to three seconds. What it said is kept if it ended by itself."""
        by_itself = self._process.poll() is not None
        end_server(self._process)
        if not by_itself:
            self._log.unlink(missing_ok=True)


class PersonsServers:
    """Starts App servers for one dataset."""

    def __init__(self, dataset_name: str) -> None:
        self._name, self._home = dataset_name, Workspace.at().home

    def start(self, person: str) -> PersonsServer:
        """A server that decides in this person's name; call from the main thread. It does not answer yet.

        Raises:
            CurateError: no port is free.
        """
        secret = secrets.token_urlsafe(32)
        log = self._home / "run" / f"app-{secrets.token_hex(4)}.log"
        added = {SECRET: secret, ONLY: self._name, "CURATE_USER": person}
        port, process = start_server(None, self._home, log, added)
        return PersonsServer(process, port, secret, log)


def shared(dataset_name: str, view: str | None = FIRST_VIEW, panels: bool = True) -> tuple[Shared, str]:
    """The dataset as the gateway knows it, and the query to open its page with; see app.serve.

    Raises:
        CurateError: no such view.
        Missing: no such dataset.
    """
    _, query = prepared_page(dataset_name, view, panels)
    dataset: Any = load(dataset_name)
    return Shared(dataset.name, dataset.slug, str(dataset._doc.id)), query
