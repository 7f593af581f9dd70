"""The story that verifiers' tests change."""

import pytest

from tests.stories import Story, all_well


@pytest.fixture(scope="session")
def story() -> Story:
    """All goes well."""
    return all_well()
