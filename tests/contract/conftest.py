"""Each engine kind is started once for all the claims about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.subjects import Subject, started, with_variables


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the claims about one engine kind together, so that no kind is started twice."""
    places = [place for place, item in enumerate(items) if _kind(item)]
    ordered = sorted((items[place] for place in places), key=_kind)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _kind(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("subject", "")) if callspec is not None else ""


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Yield the engine of the kind that the test names; its template reads variables."""
    folder = tmp_path_factory.mktemp(request.param)
    with started(request.param, folder, change=with_variables) as engine:
        yield engine
