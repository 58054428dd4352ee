"""What the tools that look into a trained network share: pooled outputs of its units."""

from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmlocal.blocks import LocalBackbone, find_units, separate
from mmlocal.cli import prepare
from mmlocal.errors import ConfigError


def load(cfg, checkpoint, work_dir):
    """A runner whose model has the checkpoint's weights, in evaluation mode."""
    cfg = prepare(cfg, splits=['test'], checkpoint=('checkpoint', str(checkpoint)))
    cfg.work_dir, cfg.load_from = str(work_dir), str(checkpoint)
    cfg.launcher = 'none'
    cfg.visualizer = dict(type='Visualizer')
    runner = Runner.from_cfg(cfg)
    runner.load_checkpoint(str(checkpoint), map_location='cpu')
    runner.model.eval()
    return runner


def network_and_units(model):
    """The network, and names and modules of its units; of a local one the block of each as well."""
    backbone = getattr(model, 'backbone', None) or getattr(model, 'generator', None)
    if backbone is None:
        raise ConfigError('the model has neither a backbone nor a generator')
    if not isinstance(backbone, LocalBackbone):
        return backbone, find_units(backbone)[0], {}
    division = backbone.local_division
    return backbone, division.units, {u.name: i + 1 for i, block in enumerate(division.blocks) for u in block}


def pooled(runner, loader, images, units=None):
    """Mean output over the pixels of every unit, (images, C) each, and the labels where there are any."""
    network, found, _ = network_and_units(runner.model)
    chosen = [unit for unit in found if units is None or unit.name in units]
    outputs, labels, count = {unit.name: [] for unit in chosen}, [], 0

    def keep(name):
        def hook(_module, _args, output):
            feature, _ = separate(output)
            outputs[name].append(feature.flatten(2).mean(2) if feature.dim() == 4 else feature.mean(1))

        return hook

    handles = [network.get_submodule(unit.end).register_forward_hook(keep(unit.name)) for unit in chosen]
    with torch.no_grad(), DefaultScope.overwrite_default_scope(runner.cfg.default_scope):
        for batch in loader:
            data = runner.model.data_preprocessor(batch, False)
            runner.model(data['inputs'], data.get('data_samples'), mode='tensor')
            labels += [s.gt_label for s in data.get('data_samples') or () if 'gt_label' in s]
            count += len(data['inputs'])
            if count >= images:
                break
    for handle in handles:
        handle.remove()
    cut = {name: torch.cat(parts)[:images] for name, parts in outputs.items()}
    return cut, torch.cat(labels)[:images] if labels else None


def out_folder(args, checkpoint):
    """Where pictures go: what was asked for, or beside the checkpoint."""
    folder = args.out or Path(checkpoint).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder
