"""Small networks with replaced units, and what their weights have to be, written down once more."""

import copy

import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmlocal.registry import MODELS

THIN = dict(type='mmpretrain.ResNet', depth=18, base_channels=8, stem_channels=8)
NETWORKS = {
    'ResNet of thumbnails': dict(type='mmlocal.CifarResNet', depth=32),
    'ResNet-18': THIN,
    'ResNet-50': dict(type='mmpretrain.ResNet', depth=50, base_channels=8, stem_channels=8, expansion=4),
    'ResNeXt': dict(type='mmpretrain.ResNeXt', depth=50, groups=4, width_per_group=4),
    'ViT': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=16, num_layers=6, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
    ),
    'Swin': dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=8, depths=[2, 4], num_heads=[2, 4]),
        img_size=64,
        window_size=4,
        out_indices=(1,),
    ),
}
SIDES = {'ViT': 32, 'ResNet of thumbnails': 32}


def build(name, seed=0, dtype=torch.float64, **replacement):
    """A network of the list; with arguments one with replaced units. Norms and scalars do something of their own."""
    import mmpretrain.models

    import mmlocal.models.cifar_resnet  # noqa: F401

    assert mmpretrain
    config = copy.deepcopy(NETWORKS[name])
    if replacement:
        config = dict(type='mmlocal.ReplacementBackbone', arch=config, **replacement)
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(config).to(dtype)
    with torch.no_grad():
        for p in network.parameters():
            # Vectors, what starts at zero, and pairs of scalars.
            if p.dim() < 2 or not p.any() or p.shape[0] == 2:
                p.add_(0.1 * torch.randn_like(p))
    return network


def images(name, dtype=torch.float64, count=3):
    torch.manual_seed(1)
    side = SIDES.get(name, 64)
    return torch.randn(count, 3, side, side, dtype=dtype)


def run(network, x, training=True):
    """The last output; hosts' `train` and `eval` return nothing."""
    network.train(training)
    return network(x)[-1]


def rectangle(wanted, given, like):
    return torch.eye(max(wanted, given), dtype=like.dtype)[:wanted, :given]


def fused(tensor, shape, learned, prefix):
    """A tensor of a neighbour in another shape: matrices from both sides, kernels around their centre."""
    rows = [tensor.new_zeros(0)] * 2
    for axis in range(min(2, tensor.dim())):
        given, wanted = tensor.shape[axis], shape[axis]
        if given == wanted:
            continue
        rows[axis] = rectangle(wanted, given, tensor)
        key = f'{prefix}.mixes.{axis + 1}'
        if f'{key}.up' in learned:
            rows[axis] = rows[axis] + learned[f'{key}.up'] @ learned[f'{key}.down']
    if rows[0].numel():
        tensor = torch.einsum('po,o...->p...', rows[0], tensor)
    if rows[1].numel():
        tensor = torch.einsum('qi,oi...->oq...', rows[1], tensor)
    return tensor


def synthesised(unit, before, after, learned):
    """Weights of a unit by the formulas, `learned` what the synthesis has, `unit` the stock shapes."""
    if 'mix' in learned:
        return {n: learned['mix'][0] * before[n] + learned['mix'][1] * after[n] for n in unit}
    found = {}
    for name, shape in unit.items():
        key = f'tensors.{name.replace(".", "-")}'
        pieces = learned[f'{key}.mix'].shape[1]
        made = []
        for piece in range(pieces):
            own = (shape[0] // pieces, *shape[1:])
            sides = [
                fused(side[name].chunk(pieces)[piece], own, learned, f'{key}.{which}')
                for which, side in (('before', before), ('after', after))
            ]
            a, b = learned[f'{key}.mix'][:, piece]
            made.append(a * sides[0] + b * sides[1])
        found[name] = torch.cat(made)
    return found


class Reference(nn.Module):
    """The stock network run with weights that the formulas give, from leaves of its own."""

    def __init__(self, stock, replaced, places, share_grad):
        super().__init__()
        self.stock, self.places, self.share_grad = stock, places, share_grad
        self.shapes = {name: p.shape for name, p in stock.named_parameters()}
        kept = dict(replaced.named_parameters())
        self.leaves = {name: p.detach().clone().requires_grad_() for name, p in kept.items()}

    def forward(self, x):
        weights = {name: leaf for name, leaf in self.leaves.items() if '.replacement.' not in name}
        for place, before, after in self.places:
            unit = _under(self.shapes, place)
            sides = [_under(self.leaves, side) for side in (before, after)]
            if not self.share_grad:
                sides = [{name: tensor.detach() for name, tensor in side.items()} for side in sides]
            learned = _under(self.leaves, f'{place}.replacement.by')
            made = synthesised(unit, *sides, learned)
            weights.update({f'{place}.{name}': tensor for name, tensor in made.items()})
        return torch.func.functional_call(self.stock, weights, (x,))


def _under(tensors, place):
    return {name.removeprefix(f'{place}.'): tensor for name, tensor in tensors.items() if name.startswith(f'{place}.')}


def padded(kernel, side):
    """A square kernel in another size, entry by entry."""
    made = torch.zeros(*kernel.shape[:2], side, side, dtype=kernel.dtype)
    shift = (side - kernel.shape[-1]) // 2
    for i in range(side):
        for j in range(side):
            if 0 <= i - shift < kernel.shape[-1] and 0 <= j - shift < kernel.shape[-1]:
                made[..., i, j] = kernel[..., i - shift, j - shift]
    return made
