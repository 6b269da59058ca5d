"""Where the database program is, and where its socket may lie."""

import hashlib
import importlib.util
import os
import stat
from pathlib import Path

from curate.errors import DatabaseDown, Missing

SOCKET = "mongo.sock"
# sun_path holds 107 bytes and a final zero; some tools count differently, so stay well below
LONGEST_SOCKET_PATH = 100


def find_mongod() -> Path:
    """The mongod that came with FiftyOne, found without importing fiftyone (which takes seconds).

    Raises:
        Missing: FiftyOne is installed without its database, or the file may not be executed.
    """
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or spec.origin is None:
        raise Missing("Missing: the package fiftyone is not installed. Run `pip install fpc-curate`.")
    path = Path(spec.origin).parent / "db" / "bin" / "mongod"
    if not path.is_file():
        raise Missing(
            f"Missing: the database program mongod is not at {path}. Run `curate doctor --fix` to "
            "install it, or set CURATE_DATABASE_URI to a MongoDB of your own."
        )
    if not os.access(path, os.X_OK):
        raise Missing(f"Missing: {path} may not be executed. Run `chmod +x {path}`.")
    return path


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter, or check that an existing one is so.

    Raises:
        DatabaseDown: the folder is a link, belongs to somebody else, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            if stat.S_IMODE(found.st_mode) != 0o700:
                folder.chmod(0o700)
            return folder
    except OSError as error:
        raise DatabaseDown(
            f"DatabaseDown: the folder {folder} for the database cannot be used ({error.strerror}). "
            "Give yourself permission to write there, or choose another workspace with --home."
        ) from error
    raise DatabaseDown(
        f"DatabaseDown: the database needs a folder of your own at {folder}, but what is there is a link, "
        "a file or somebody else's. Remove it, or set XDG_RUNTIME_DIR to a folder of your own."
    )


def socket_folder(home: Path, runtime_dir: Path | None = None) -> Path:
    """A private folder whose socket path is short enough: the workspace's own, else a short runtime folder.

    Args:
        home: the workspace.
        runtime_dir: use this folder whatever its length.
    """
    if runtime_dir is not None:
        return private_folder(runtime_dir)
    own = home / "run"
    if len(os.fsencode(own / SOCKET)) <= LONGEST_SOCKET_PATH:
        return private_folder(own)
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.access(base, os.W_OK) and len(os.fsencode(base)) < LONGEST_SOCKET_PATH - 40:
        return private_folder(Path(base) / f"curate-{digest}")
    return private_folder(Path("/tmp") / f"curate-{os.getuid()}-{digest}")


def identity(home: Path) -> str | None:
    """What tells the workspace's database from one made anew; None without one, and for one elsewhere."""
    if os.environ.get("CURATE_DATABASE_URI"):
        return None
    try:
        state = (home / "db" / "WiredTiger").stat()
    except OSError:
        return None
    return f"{state.st_ino} {state.st_mtime_ns}"
