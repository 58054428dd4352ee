"""Configs with replaced units go through the same comparisons as any others."""

from mmlocal.config import find_backbone, localize, make_local
from mmlocal.hosts import import_hosts
from mmlocal.planning import checkpointed, end_to_end, estimate

LOCAL = 'replacement/resnet32_replacement-dgl_mini-digits.py'
REPLACED = 'replacement/resnet32_replacement_mini-digits.py'
SHAPE, BATCH = (3, 32, 32), 8


def test_a_local_one_with_the_networks_own_checkpointing(config):
    cfg = localize(config(LOCAL))
    import_hosts(cfg)
    with_cp = checkpointed(cfg)
    assert with_cp.name == 'end-to-end, with_cp'
    peaks = [estimate(one, SHAPE, BATCH)[1].peak_bytes for one in (end_to_end(cfg), with_cp.cfg, cfg)]
    assert peaks[1] < peaks[0]
    assert peaks[2] < peaks[0]


def test_one_is_made_local(config):
    cfg = localize(make_local(config(REPLACED), 'dgl', 3))
    assert find_backbone(cfg)[1].arch.type == 'mmlocal.ReplacementBackbone'
    cfg.model.backbone.partition = dict(type='Stage')
    import_hosts(cfg)
    step, _ = estimate(cfg, SHAPE, BATCH)
    assert [len(block) for block in step.model.backbone.local_division.blocks] == [6, 5, 5]


def test_fewer_weights_state_and_kept_tensors(config):
    ways = {}
    for name in ('e2e/vit-small_imagenet.py', 'replacement/vit-small_replacement_imagenet.py'):
        for turns in (1, 4) if 'replacement' in name else (None,):
            cfg = config(name)
            if turns:
                cfg.model.backbone.turns = turns
            import_hosts(cfg)
            step, ledger = estimate(localize(cfg), (3, 224, 224), 8)
            trained = sum(p.numel() for p in step.model.parameters() if p.requires_grad)
            ways[turns] = trained, step.static_bytes(), ledger.peak_bytes
    trained, static, peak = ways[None]
    layer = 4 * 384 * 384 + 8 * 384 * 384  # about: attention and MLP
    assert 3 * layer < trained - ways[1][0] < 1.01 * 3 * layer
    # AdamW keeps two moments of each weight.
    assert static - ways[1][1] > 3 * 4 * 3 * layer
    assert ways[1][1] + ways[1][2] < static + peak
    assert ways[4][2] < peak
