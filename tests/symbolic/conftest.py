"""What one test says about pages is forgotten before the next."""

import pytest

from ddpm_lite.symbolic.page import Page


@pytest.fixture(autouse=True)
def _no_page_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Page, "at_hand", {})
