"""Opens a dataset in the FiftyOne App: starts the App's server as our child and ends it with us."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from curate.errors import CurateError
from curate.store import workspaces
from curate.store.acting import user
from curate.store.appearance import COLOUR_MAP, arrange
from curate.store.dataset import load
from curate.store.verdicts import reconcile
from curate.workspace import Workspace

FIRST_VIEW = "not looked at yet"
ADDRESS = "127.0.0.1"
FIRST_PORT, N_PORTS = 5151, 50
START_LIMIT_S = 180.0
GRID_ZOOM = 8  # 0 to 10; thumbnails on which a defect can be seen


class App:
    """A running App server.

    Attributes:
        url: address of the dataset's page.
        port: TCP port on 127.0.0.1.
        process: the server.
    """

    def __init__(self, url: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.url, self.port, self.process, self._log = url, port, process, log

    def wait(self) -> None:
        """Block until interrupted (KeyboardInterrupt passes through).

        Raises:
            CurateError: the server ended by itself.
        """
        while self.process.poll() is None:
            time.sleep(0.3)
        raise ended(self.process, self._log)


@contextmanager
def serve(
    dataset_name: str, port: int | None = None, view: str | None = FIRST_VIEW, panels: bool = True
) -> Iterator[App]:
    """Serve a dataset's triage page while the block runs; call from the main thread.

    Args:
        port: None or 0 = a free one; otherwise exactly this.
        view: name of a saved view to begin with; None = the whole dataset.
        panels: whether the page opens with the triage panel and the threshold panel beside the grid.

    Raises:
        CurateError: the port is taken, or the server does not start.
        Missing: no such dataset, or no such view.
    """
    page, query = prepared_page(dataset_name, view, panels)
    home = Workspace.at().home
    log = home / "run" / "app.log"
    chosen, process = start_server(port, home, log)
    try:
        _wait_until_served(process, chosen, page, log)
        yield App(f"http://{ADDRESS}:{chosen}{page}{query}", chosen, process, log)
    finally:
        end_server(process)


def prepared_page(dataset_name: str, view: str | None = FIRST_VIEW, panels: bool = True) -> tuple[str, str]:
    """Bring verdicts, views and panels up to date; path of the dataset's page, and the query to open it with.

    Args:
        view, panels: see serve.

    Raises:
        CurateError: no such view.
        Missing: no such dataset.
    """
    reconcile(dataset_name, Workspace.at().dataset(dataset_name).verdicts)
    views = arrange(dataset_name)
    dataset = load(dataset_name)
    layout = workspaces.arrange(dataset) if panels else None
    if view is not None and view not in views:
        raise CurateError(f'CurateError: there is no view "{view}". Known: {", ".join(views)}.')
    slug = view and dataset._get_saved_view_doc(view).slug
    # the App finds a dataset by its name alone: a slug, where it differs, leads to "No dataset selected"
    return f"/datasets/{urllib.parse.quote(dataset.name)}", workspaces.query(view=slug, workspace=layout)


def need_port(wanted: int | None) -> None:
    """Refuse early where a wanted port is not free; None or 0 = any will do.

    Raises:
        CurateError: it is taken, or may not be used.
    """
    _listening(wanted).close()


def _listening(wanted: int | None) -> socket.socket:
    """A socket that listens at the wanted port, or at a free one: from now on nobody else can have it.

    Raises:
        CurateError: it is taken, or may not be used.
    """
    if wanted:
        try:
            return _bound(wanted)
        except OSError as error:
            raise CurateError(
                f"CurateError: port {wanted} on {ADDRESS} cannot be used ({error.strerror}). "
                "Choose another with --port, or leave --port out to take a free one."
            ) from error
    for candidate in (*range(FIRST_PORT, FIRST_PORT + N_PORTS), 0):
        with contextlib.suppress(OSError):
            return _bound(candidate)
    raise CurateError("CurateError: no free port was found. Choose one with --port.")


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ADDRESS, port))
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def start_server(
    port: int | None, home: Path, log: Path, added: Mapping[str, str] | None = None
) -> "tuple[int, subprocess.Popen[bytes]]":
    """Start the App's server; call from the main thread, as the server ends with the thread that starts it.

    It is handed a socket that listens already: two that start at once never meet at one port, and what asks
    there is never answered by another server.

    Args:
        port: None or 0 = a free one; otherwise exactly this.
        log: what it says goes there.
        added: to its environment.

    Returns:
        The port, and the server, which does not answer yet.

    Raises:
        CurateError: the port is taken.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "CURATE_USER": user(),
        "FIFTYONE_APP_COLORSCALE": COLOUR_MAP,
        "FIFTYONE_APP_COLOR_BY": "value",
        "FIFTYONE_APP_GRID_ZOOM": str(GRID_ZOOM),
        "FIFTYONE_APP_THEME": "dark",
        "FIFTYONE_DEFAULT_APP_ADDRESS": ADDRESS,
        "HOME": str(home / "fiftyone"),  # the server notes an id for statistics there, even when they are off
        **(added or {}),
    }
    with _listening(port) as listening, log.open("wb") as output:
        handle = listening.fileno()
        command = [sys.executable, "-P", "-m", "curate.store.appserver", str(os.getpid()), str(handle)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            start_new_session=True, pass_fds=(handle,),
        )  # fmt: skip
        return listening.getsockname()[1], process


def _wait_until_served(process: "subprocess.Popen[bytes]", port: int, page: str, log: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise ended(process, log)
        connection = http.client.HTTPConnection(ADDRESS, port, timeout=10)
        try:
            connection.request("GET", page)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise CurateError(
        f"CurateError: the App server gave no answer on port {port} for {START_LIMIT_S:.0f} s. See {log}."
    )


def ended(process: "subprocess.Popen[bytes]", log: Path) -> CurateError:
    """What to tell when a server ended by itself."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if log.exists() else []
    told = "\n".join(f"  {line}" for line in lines)
    return CurateError(
        f"CurateError: the App server ended by itself (status {process.returncode}). "
        f"Its last lines, from {log}:\n{told}\nStart it again; verdicts are stored as they are given."
    )


def end_server(process: "subprocess.Popen[bytes]") -> None:
    """End the server and whatever it started; it holds nothing that is not stored."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
