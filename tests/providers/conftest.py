"""Every provider's key is set, and nothing else of the environment reaches an SDK."""

from __future__ import annotations

import pytest

from tests.providers.wire import KEY, KEYS

_STRAY = ("BASE_URL", "API_BASE", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS", "AUTH_TOKEN")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS.values():
        monkeypatch.setenv(name, KEY)
        for stray in _STRAY:
            monkeypatch.delenv(f"{name.partition('_')[0]}_{stray}", raising=False)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
