"""Host configs are found whatever their distribution is called."""

from mmengine.config import Config, utils

from mmlocal.hosts import name_installed_distributions


def test_a_config_of_mmseg_is_inherited(tmp_path, monkeypatch):
    monkeypatch.setattr(utils, 'MODULE2PACKAGE', utils.MODULE2PACKAGE)
    leaf = tmp_path / 'leaf.py'
    leaf.write_text("_base_ = 'mmseg::deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py'")
    name_installed_distributions()
    assert Config.fromfile(leaf).model.backbone.type == 'ResNetV1c'


def test_what_is_found_anyway_stays():
    before = dict(utils.MODULE2PACKAGE)
    name_installed_distributions()
    name_installed_distributions()
    assert {m: n for m, n in utils.MODULE2PACKAGE.items() if m == n} == {m: n for m, n in before.items() if m == n}
