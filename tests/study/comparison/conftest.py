"""What every test of comparisons may be given."""

import pytest

from narrower.study.comparison.record import Comparison
from tests.study.comparison.made_up_comparison import made_up_comparison


@pytest.fixture
def comparison() -> Comparison:
    return made_up_comparison()
