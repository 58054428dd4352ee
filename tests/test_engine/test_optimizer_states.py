"""States of optimizers between stock wrappers and block-wise ones."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper

STOCK = dict(type='OptimWrapper')
OURS = dict(type='mmlocal.BlockwiseOptimWrapper')
OURS_AMP = dict(type='mmlocal.BlockwiseAmpOptimWrapper', dtype='bfloat16')
OF_BLOCKS = dict(constructor='mmlocal.LocalOptimWrapperConstructor')


def trained(host, wrapper, image, state=None):
    """The wrapper and its state, after one step, or after a state was loaded and one step."""
    optim = build_optim_wrapper(host, dict(wrapper, optimizer=dict(type='Adam', lr=0.01)))
    if state is not None:
        optim.load_state_dict(copy.deepcopy(state))
    host.train_step(dict(inputs=image, data_samples=None), optim)
    return optim


@pytest.mark.parametrize('wrappers', [(STOCK, OURS), (OURS, STOCK), (STOCK, OURS_AMP), (OURS_AMP, STOCK)])
def test_of_a_stock_model_with_frozen_parameters(make_host, image, wrappers):
    """Whichever wrapper saves, the other one goes on as the first would have."""
    first, second = (make_host(frozen_stages=1, dtype=torch.float32) for _ in range(2))
    image = image.float()
    saved = trained(first, wrappers[0], image)
    second.load_state_dict(first.state_dict())
    again = trained(second, wrappers[1], image, saved.state_dict())
    trains = [p for p in second.parameters() if p.requires_grad]
    assert len(trains) < len(list(second.parameters()))
    assert [int(again.optimizer.state[p]['step']) for p in trains] == [2] * len(trains)
    if 'Amp' not in str(wrappers):
        saved.optimizer.zero_grad()
        first.train_step(dict(inputs=image, data_samples=None), saved)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_of_a_local_model_the_stock_part_comes_first(make_host, man_auxiliary, image):
    """The first entries are those of the stock model, in its order: they load there, and go back."""
    local = make_host(partition=['layer2.1'], auxiliary=man_auxiliary, frozen_stages=1)
    saved = trained(local, OURS | OF_BLOCKS, image).state_dict()
    stock = make_host(frozen_stages=1)
    shapes = [p.shape for p in stock.parameters()]
    for i, shape in enumerate(shapes):
        if i in saved['state']:
            assert saved['state'][i]['exp_avg'].shape == shape
    again = make_host(partition=['layer2.1'], auxiliary=man_auxiliary, frozen_stages=1)
    optim = build_optim_wrapper(again, dict(OURS, **OF_BLOCKS, optimizer=dict(type='Adam', lr=0.01)))
    optim.load_state_dict(saved)
    assert optim.state_dict()['state'].keys() == saved['state'].keys()
