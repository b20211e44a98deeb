"""What every test of comparisons may be given."""

import pytest

from narrower.compare.record import Comparison
from tests.compare.made_up_comparison import made_up_comparison


@pytest.fixture
def comparison() -> Comparison:
    return made_up_comparison()
