"""Tells FiftyOne where everything is, before (or after) it is imported."""

import atexit
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def settings(home: Path, uri: str, database_name: str) -> dict[str, str]:
    """Environment variables that keep FiftyOne inside a workspace, silent and off the network.

    Without the configuration paths FiftyOne reads ~/.fiftyone; without the folders it fills ~/fiftyone.
    """
    own = home / "fiftyone"
    return {
        "CURATE_HOME": str(home),
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_NAME": database_name,
        "FIFTYONE_DATABASE_DIR": str(home / "db"),
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_PLUGINS_DIR": str(Path(__file__).parent / "plugins"),
        "FIFTYONE_PLUGINS_CACHE_ENABLED": "true",  # else every call reads them all again
        "FIFTYONE_DEFAULT_DATASET_DIR": str(own / "datasets"),
        "FIFTYONE_DATASET_ZOO_DIR": str(own / "dataset-zoo"),
        "FIFTYONE_MODEL_ZOO_DIR": str(own / "model-zoo"),
        "FIFTYONE_CONFIG_PATH": str(own / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(own / "app_config.json"),
        "FIFTYONE_ANNOTATION_CONFIG_PATH": str(own / "annotation_config.json"),
        "FIFTYONE_EVALUATION_CONFIG_PATH": str(own / "evaluation_config.json"),
        "FIFTYONE_BRAIN_CONFIG_PATH": str(own / "brain_config.json"),
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_LOGGING_LEVEL": "WARNING",
        # it listens to a replica set, which our single mongod is not
        "FIFTYONE_EXECUTION_STORE_NOTIFICATION_SERVICE_DISABLED": "true",
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(own / "matplotlib"),
    }


def apply(home: Path, uri: str, database_name: str) -> None:
    """Set the variables; a FiftyOne that is already imported is moved to the new database."""
    (home / "fiftyone").mkdir(parents=True, exist_ok=True)
    # an embedded database of another program, which FiftyOne would attach to
    os.environ.pop("FIFTYONE_PRIVATE_DATABASE_PORT", None)
    os.environ.update(settings(home, uri, database_name))
    if "fiftyone" in sys.modules:
        _rebind(uri, database_name)


def _rebind(uri: str, database_name: str) -> None:
    import fiftyone as fo
    import fiftyone.core.odm.database as odm

    fo.config.plugins_dir = os.environ["FIFTYONE_PLUGINS_DIR"]
    if (fo.config.database_uri, fo.config.database_name) == (uri, database_name) and odm._client is not None:
        return
    _let_go(odm)
    odm._connection_kwargs.pop("port", None)
    fo.config.database_uri = uri
    fo.config.database_name = database_name
    odm.establish_db_conn(fo.config)


def release(before: Mapping[str, str | None]) -> None:
    """Let an imported FiftyOne go of a database that is about to stop, and restore the environment.

    Args:
        before: variable -> value, None = it was not set.
    """
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    odm = sys.modules.get("fiftyone.core.odm.database")
    if odm is None or "fiftyone" not in sys.modules:
        return
    atexit.unregister(odm._delete_non_persistent_datasets_if_allowed)  # would wait for a server that is gone
    _let_go(odm)


def _let_go(odm: Any) -> None:
    """Disconnect, and empty the caches in which FiftyOne keeps what belongs to the old connection."""
    odm._disconnect()
    sys.modules["fiftyone"].Dataset._instances.clear()  # by name alone
    factory: Any = sys.modules.get("fiftyone.factory.repo_factory")
    if factory is not None:
        factory.RepositoryFactory.repos.clear()
        factory._db = None
