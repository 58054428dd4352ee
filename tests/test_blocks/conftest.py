"""The networks, one after the other."""

import pytest
from mmengine.registry import DefaultScope

from tests.test_blocks.networks import ALL, FAMILIES, family_of


@pytest.fixture(params=FAMILIES, ids=str)
def family(request):
    """Both models of a family: `stock()` and `local(auxiliary, **arguments)`, an image, and the cuts."""
    with DefaultScope.overwrite_default_scope(ALL[request.param][0]):
        yield family_of(request.param)
