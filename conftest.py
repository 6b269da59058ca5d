"""Order of the tests, and what may be skipped."""

import os

import hypothesis
import pytest

# a busy machine is no fault of what is tested
hypothesis.settings.register_profile(
    "curate", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("curate")

LATER = {"real_images": 1, "mongod": 2, "peers": 3, "browser": 4, "slow": 5}


def _rank(item: pytest.Item) -> int:
    return max((LATER.get(mark.name, 0) for mark in item.iter_markers()), default=0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first; those that read the real images are skipped where there are none."""
    from tests.helpers.places import SHARED_DATA

    if not SHARED_DATA.is_dir():
        reason = f"no real images in {SHARED_DATA}; see CURATE_TEST_DATA in CONTRIBUTING.md"
        absent = pytest.mark.skip(reason=reason)
        for item in items:
            if item.get_closest_marker("real_images"):
                item.add_marker(absent)
    items.sort(key=_rank)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CURATE_STRICT set, a skipped test fails the run; only the mark gpu may be skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CURATE_STRICT") or reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if "gpu" not in report.keywords]
    if skipped and exitstatus == 0:
        reporter.write_line(
            f"CURATE_STRICT: {len(skipped)} tests were skipped, which counts as a failure.", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
