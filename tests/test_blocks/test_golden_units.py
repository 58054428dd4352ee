"""Units, and what two steps did, when the units of these networks were still listed class by class."""

import copy
import json
from pathlib import Path

import pytest
import torch

from tests.test_blocks.networks import FAMILIES, of_network

GOLDEN = json.loads(Path(__file__).with_name('golden.json').read_text(encoding='utf-8'))


def units_and_steps(family, auxiliary, make_loop):
    """Units with their modules and own parameters; of two steps the loss, and the sums of all weights."""
    torch.manual_seed(2)
    model = family.local(copy.deepcopy(auxiliary))
    torch.manual_seed(3)
    image = torch.randn(family.image.shape, dtype=torch.float64)
    loop, steps = make_loop(model), []
    for _ in range(2):
        loss = float(loop.step(image)['loss'].detach())
        sums = [
            sum(p.detach().abs().sum() for n, p in model.named_parameters() if of_network(n) is own)
            for own in (True, False)
        ]
        steps.append([loss, *map(float, sums)])
    division = model.backbone.local_division
    units = {unit.name: [' '.join(unit.modules), ' '.join(unit.own)] for unit in division.units}
    return dict(units=units, copied=sorted(division.probe.alone), steps=steps)


@pytest.mark.parametrize('family', [name for name in FAMILIES if name in GOLDEN], indirect=True)
@pytest.mark.parametrize('method', ['plain', 'man'])
def test_units_and_steps_are_those_of_the_units_once_listed_by_hand(family, method, make_loop, man_auxiliary):
    plain = dict(type='mmlocal.Auxiliary', head=dict(type='mmlocal.SquareHead'))
    found = units_and_steps(family, man_auxiliary if method == 'man' else plain, make_loop)
    wanted = GOLDEN[family.name][method]
    assert found['units'] == wanted['units']
    assert set(wanted['copied']) <= set(found['copied'])
    torch.testing.assert_close(found['steps'], wanted['steps'], rtol=1e-9, atol=0.0)
