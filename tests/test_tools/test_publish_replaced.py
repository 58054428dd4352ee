"""Published checkpoints of networks with replaced units are those of stock models, with the same outputs."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmlocal.models.replacement import replaced_units
from mmlocal.registry import MODELS

PAIRS = {
    'mmpretrain': ('resnet32_mini-digits', 'resnet32_replacement_mini-digits', 32),
    'mmpretrain, fused': ('resnet32_mini-digits', 'resnet32_replacement-fusion_mini-digits', 32),
    'mmpretrain, local': ('resnet32_mini-digits', 'resnet32_replacement-dgl_mini-digits', 32),
    'mmdet': ('faster_rcnn_r18_mini-coco', 'faster_rcnn_r18_replacement-fusion_mini-coco', 64),
}


@pytest.mark.parametrize('pair', PAIRS)
def test_stock_model_gives_the_same_outputs(call, config, build_lively, make_loop, tmp_path, pair):
    host, replaced, side = PAIRS[pair]
    cfg, model, optim, make_batch = build_lively(config(f'replacement/{replaced}.py'))
    for group in optim.optimizer.param_groups:
        group['lr'] = 1e-3
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        make_loop(model, optim).step(**make_batch(side))
        assert replaced_units(model)
        torch.save(dict(meta={}, state_dict=model.state_dict()), tmp_path / 'run.pth')
        result = call('model_converters/publish_model', tmp_path / 'run.pth', tmp_path / 'out.pth')
        published = torch.load(result.out.strip().removeprefix('published: '), weights_only=False)
        stock = MODELS.build(config(f'e2e/{host}.py').model)
        stock.load_state_dict(published['state_dict'], strict=True)
        torch.manual_seed(0)
        image = torch.randn(2, 3, side, side)
        with torch.no_grad():
            model.eval()
            stock.eval()
            for found, expected in zip(stock.extract_feat(image), model.extract_feat(image), strict=True):
                assert (found - expected).abs().max() <= 1e-5
                assert expected.any()
