"""One shared page for all attacks, and two people who are logged in."""

from collections.abc import Iterator

import pytest

from tests.helpers.sharing import SharedPage, shared_page


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPage]:
    with shared_page(tmp_path_factory.mktemp("shared")) as page:
        yield page


@pytest.fixture(scope="session")
def ann(shared: SharedPage) -> str:
    """The session of one who decides."""
    return shared.session(shared.token("Ann"))


@pytest.fixture(scope="session")
def reader(shared: SharedPage) -> str:
    """The session of one who looks."""
    return shared.session(shared.token("Rea", "reading"))
