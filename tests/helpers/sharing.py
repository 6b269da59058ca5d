"""A shared page that really runs: its own database, workspace and certificate, in a process of its own."""

import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from curate.gateway import tokens
from tests.helpers.places import REPOSITORY

HOST = "127.0.0.1"
NAME, OTHER = "Shared.1", "secret"
LIMIT_S = 120.0
SERVE = """
import json, sys
from pathlib import Path
from curate.gateway import server as gateway
from curate.store import dataset, heatmaps, server
from curate.store.sharing import PersonsServers, shared
from tests.helpers.stored import painted
home, name, other, certificate, key = sys.argv[1:]
place = gateway.Place("127.0.0.1", 0, Path(certificate), Path(key))
with gateway.opened(place) as listening, server.connect(Path(home)):
    import fiftyone
    for each in (name, other):
        root = Path(home) / "datasets" / each
        samples, predictions = painted(root, 4, 2)
        dataset.save_samples(each, samples, root / "masks")
        split = samples[["sample_id"]].assign(assigned_split="test")
        dataset.save_split(each, split)
        own = root / "detectors" / "padim"
        own.mkdir(parents=True)
        (root / "display").rename(own / "display")
        heatmaps.save_predictions(each, "padim", predictions, own, 0.5)
        dataset.load(each).add_sample_field(
            "padim_proposals", fiftyone.EmbeddedDocumentField, embedded_doc_type=fiftyone.Detections
        )
    about, opening = shared(name, panels=False)
    port = listening.getsockname()[1]
    told = {"port": port, "page": about.page, "opening": opening, "id": about.dataset_id}
    print(json.dumps(told), flush=True)
    root = Path(home) / "datasets" / name
    gateway.serve(place, listening, about, opening, root, PersonsServers(name).start, print, 3)
"""


class SharedPage:
    """A running gateway, and how to ask it.

    Attributes:
        root: folder of the dataset that is shared; other: of one that is not.
    """

    def __init__(self, home: Path, told: dict[str, Any], process: "subprocess.Popen[str]") -> None:
        self.home, self.process = home, process
        self.port, self.page, self.opening = int(told["port"]), str(told["page"]), str(told["opening"])
        self.dataset_id = str(told["id"])
        self.root, self.other = home / "datasets" / NAME, home / "datasets" / OTHER
        self.origin = f"https://{HOST}:{self.port}"
        self.cookie = f"__Host-curate-{self.port}"

    def token(self, person: str, role: tokens.Role = "deciding") -> str:
        """A new token."""
        return tokens.add(self.root / tokens.FILE, person, role, None, datetime.now(UTC))

    def revoke(self, person: str) -> None:
        """End it."""
        tokens.revoke(self.root / tokens.FILE, person, datetime.now(UTC))

    def connection(self, source: str = HOST) -> http.client.HTTPSConnection:
        """A connection to the gateway from an address of this machine."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(
            HOST, self.port, timeout=60, context=context, source_address=(source, 0)
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        session: str = "",
        source: str = HOST,
        raw: bytes | None = None,
        **headers: str,
    ) -> "Told":
        """Ask as a browser does that is logged in; headers replace those it would send, "" leaves one out."""
        sent = {"Cookie": f"{self.cookie}={session}"} if session else {}
        content = raw
        if body is not None:
            content = json.dumps(body).encode()
            sent |= {
                "Content-Type": "application/json",
                "Origin": self.origin,
                "Sec-Fetch-Site": "same-origin",
            }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connection(source)
        try:
            kept = {name: value for name, value in sent.items() if value}
            connection.request(method, path, content, kept)
            answer = connection.getresponse()
            return Told(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            connection.close()

    def log_in(self, token: str, source: str = HOST, **headers: str) -> "Told":
        """Send the form."""
        form = urlencode({"token": token, "next": self.page}).encode()
        sent = {"Content_Type": "application/x-www-form-urlencoded", "Origin": self.origin, **headers}
        return self.ask("POST", "/login", raw=form, source=source, **sent)

    def session(self, token: str) -> str:
        """Log in, and wait until the person's server answers."""
        told = self.log_in(token)
        assert told.status == 303, told
        session = told.headers["set-cookie"].split(";")[0].partition("=")[2]
        limit = time.monotonic() + LIMIT_S
        while (status := self.ask("GET", self.page, session=session).status) != 200:
            assert status == 503 and time.monotonic() < limit, status
            time.sleep(0.2)
        return session

    def verdicts(self) -> list[dict[str, Any]]:
        """What is stored, as the mirror tells it."""
        path = self.root / "verdicts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Told:
    """An answer."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status, self.body, self.headers = status, body, headers

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:200]!r}"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody signed, and its key."""
    paths = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}",
        "-out", str(paths[0]), "-keyout", str(paths[1]),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return paths


@contextmanager
def shared_page(folder: Path) -> Iterator[SharedPage]:
    """A shared page of the dataset NAME, beside a dataset OTHER that is not shared."""
    home = folder / "work"
    command = [sys.executable, "-c", SERVE, str(home), NAME, OTHER, *map(str, certificate(folder))]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("{"), (folder / "serve.log").read_text()[-2000:]
        yield SharedPage(home, json.loads(line), process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
