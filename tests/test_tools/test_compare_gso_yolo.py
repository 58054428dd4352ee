"""The comparison of GSO-YOLO with plain YOLOv8: its counts by hand, its table of the ablation from logs."""

import json

import pytest

from mmlocal.hosts import name_installed_distributions


@pytest.fixture
def compare(tool):
    name_installed_distributions()
    return tool('benchmarks/gso_yolo')


@pytest.mark.integration
def test_what_the_modules_add(compare):
    (params, flops), (gso_params, gso_flops) = map(compare.complexity, compare.pair('n'))
    assert params == pytest.approx(3.2, abs=0.05)  # YOLOv8's own table
    assert flops == pytest.approx(8.7, rel=0.03)
    c, pixels = 256, 20 * 20
    convs, mlp, gate = 2 * 49 * c * c // 4, 2 * c * c // 4, 2 * c * c // 4 + c * c // 4
    biases = 2 * (c // 4 + c) + 2 * (c // 4 + c)  # of the linear layers; of batch norm, weights too
    assert (gso_params - params) * 1e6 == pytest.approx(convs + mlp + gate + biases)
    assert gso_flops - flops == pytest.approx(2 * pixels * (convs + mlp) / 1e9, rel=0.01)


def test_rows_of_the_ablation(compare, monkeypatch, tmp_path):
    scores = dict(plain=(0.4, 0.5), GOM=(0.5, 0.5))
    monkeypatch.setattr(compare, 'VARIANTS', scores)
    monkeypatch.setattr(compare, 'WORK', tmp_path)
    for variant, found in scores.items():
        for seed, score in enumerate(found):
            log = compare.work_dir(variant, seed) / '1' / 'vis_data' / 'scalars.json'
            log.parent.mkdir(parents=True)
            step = dict(loss=1.0, time=0.1, peak_mib=3.0)
            end = {'coco/bbox_mAP': score, 'coco/bbox_mAP_50': 2 * score}
            log.write_text('\n'.join(map(json.dumps, (step, {'coco/bbox_mAP': 0.9, 'coco/bbox_mAP_50': 1}, end))))
    assert list(compare.variant_rows([0, 1])) == [
        '| plain | 0.400 / 0.500 | 0.450 ± 0.071 | 0.900 ± 0.141 |  | 0.100 |',
        '| GOM | 0.500 / 0.500 | 0.500 ± 0.000 | 1.000 ± 0.000 | +0.050 ± 0.071 | 0.100 |',
    ]


def test_an_unknown_variant(call):
    result = call('benchmarks/gso_yolo', '--variants', 'GAM')
    assert result.code == 2
    assert "invalid choice: 'GAM'" in result.err
