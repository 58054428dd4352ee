"""The config in a checkpoint is read, and not run."""

import pytest
from mmengine.config import Config

from mmlocal.config.written import written_config
from mmlocal.errors import ConfigError


def test_what_mmengine_writes_is_read():
    model = dict(a=[1, -2.5, None, 'text'], b=dict(c=(1, (2,)), d={'no name': True, '1': {3}}), e=1e-8, f=float('inf'))
    text = Config(dict(model=model, other=1)).pretty_text
    assert written_config(text, ['model']) == dict(model=model)
    assert written_config(text) == dict(model=model, other=1)


@pytest.mark.parametrize(
    'text',
    [
        "model = __import__('os').mkdir('{}')",
        "model = dict(a=[__import__('os').mkdir('{}')])",
        "model = dict(**__import__('os').mkdir('{}'))",
        "model = [open('{}', 'w') for _ in range(3)]",
        "import os\nos.mkdir('{}')\nmodel = os",
        'model = dict(',
    ],
)
def test_code_is_not_run(text, tmp_path):
    with pytest.raises(ConfigError, match=r'meta\.cfg'):
        written_config(text.format(tmp_path / 'ran'), ['model'])
    assert not (tmp_path / 'ran').exists()
