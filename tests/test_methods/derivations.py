"""What each method computes, written once more from its equations: plain functions of weights, nothing of mmlocal.

A `Net` is a dict of weights by the names of a state dict, of a ResNet for CIFAR with 16, 32 and 64 channels. Each
method is a function of a net, the images (normalised, and as they were, in [0, 1]) and the labels; it
fills the gradients of the weights and gives the losses of the blocks.
"""

import math

import torch
import torch.nn.functional as F
from torch import autograd

# Three stages of three units; the last unit of each block.
UNITS = ['stem', *(f'layer{stage}.{i}' for stage in (1, 2, 3) for i in range(3))]
CUTS = ['layer1.1', 'layer2.0', 'layer3.0']
CLASSES = 5


def blocks():
    found = [[]]
    for name in UNITS:
        found[-1].append(name)
        if name in CUTS:
            found.append([])
    return found


class Net:
    """Weights and the layers that the equations are made of."""

    def __init__(self, weights):
        self.w = weights

    def conv(self, x, name, stride=1):
        weight = self.w[f'{name}.weight']
        return F.conv2d(x, weight, self.w.get(f'{name}.bias'), stride, weight.shape[-1] // 2)

    def norm(self, x, name):
        return F.batch_norm(x, None, None, self.w[f'{name}.weight'], self.w[f'{name}.bias'], training=True)

    def linear(self, x, name):
        return F.linear(x, self.w[f'{name}.weight'], self.w.get(f'{name}.bias'))

    def conv_norm(self, x, name, stride=1):
        return F.relu(self.norm(self.conv(x, f'{name}.conv', stride), f'{name}.bn'))

    def unit(self, x, name):
        """A basic residual unit; one with a shortcut halves the map where it changes the width."""
        shortcut = f'{name}.downsample.0'
        stride = 2 if f'{shortcut}.weight' in self.w else 1
        if stride == 2 and self.w[f'{shortcut}.weight'].shape[1] == self.w[f'{shortcut}.weight'].shape[0]:
            stride = 1
        y = F.relu(self.norm(self.conv(x, f'{name}.conv1', stride), f'{name}.bn1'))
        y = self.norm(self.conv(y, f'{name}.conv2'), f'{name}.bn2')
        if f'{shortcut}.weight' in self.w:
            weight = self.w[f'{shortcut}.weight']
            x = self.norm(F.conv2d(x, weight, None, stride), f'{name}.downsample.1')
        return F.relu(x + y)

    def block(self, x, names):
        for name in names:
            if name == 'stem':
                x = F.relu(self.norm(self.conv(x, 'backbone.conv1'), 'backbone.bn1'))
            else:
                x = self.unit(x, f'backbone.{name}')
        return x

    def own_loss(self, x, labels):
        return F.cross_entropy(self.linear(x.mean((2, 3)), 'head.fc'), labels)


def aux(j, *parts):
    return '.'.join(['backbone.local_auxiliaries', str(j), *parts])


def train(net, images, labels, loss_of, reach=1, first=0, weight=1.0, own=True):
    """Every window of `reach` blocks run by itself from a detached feature; `loss_of(j, x, before)` at block j.

    `before` holds the detached outputs of all units up to the block. With `first`, blocks before it have no loss.
    """
    parts = blocks()
    found = []
    for last in range(first, len(parts)):
        begin = max(0, last - reach + 1)
        with torch.no_grad():
            before, x = {}, images
            for names in parts[: last + 1]:
                if names is parts[begin]:
                    start = x
                for name in names:
                    x = net.block(x, [name])
                    before[name] = x
        x = net.block(start.detach(), [name for names in parts[begin : last + 1] for name in names])
        if last == len(parts) - 1:
            if own:
                (weight * net.own_loss(x, labels)).backward()
            break
        loss = weight * loss_of(last, x, before)
        loss.backward()
        found.append(loss.detach())
    return found


def linear_head(net, x, labels, name):
    return F.cross_entropy(net.linear(x.mean((2, 3)), f'{name}.cls_head.fc'), labels)


def scores_2c2f(net, x, name):
    stride = 2 if x.shape[1] < 64 else 1
    y = net.conv_norm(x, f'{name}.layers.0', stride)
    y = net.conv_norm(y, f'{name}.layers.1').mean((2, 3))
    return net.linear(F.relu(net.linear(y, f'{name}.layers.4.0')), f'{name}.cls_head.fc')


def between(ends, j):
    r = j / (len(CUTS) - 1)
    return ends[0] * (1 - r) + ends[1] * r


def greedy(net, images, raw, labels):
    return train(net, images, labels, lambda j, x, _: linear_head(net, x, labels, aux(j, 'head')))


def dgl(net, images, raw, labels):
    def loss(j, x, _):
        head = aux(j, 'head')
        y = F.adaptive_avg_pool2d(x, math.ceil(x.shape[-1] / 4))
        for i in range(3):
            y = net.conv_norm(y, f'{head}.convs.{i}')
        y = F.adaptive_avg_pool2d(y, 2).flatten(1)
        for i in range(3):
            y = F.relu(net.norm(net.linear(y, f'{head}.perceptron.{i}.0'), f'{head}.perceptron.{i}.1'))
        return F.cross_entropy(net.linear(y, f'{head}.cls_head.fc'), labels)

    return train(net, images, labels, loss)


def similarities(rows):
    rows = rows - rows.mean(1, keepdim=True)
    return torch.stack([torch.stack([F.cosine_similarity(a, b, dim=0) for b in rows]) for a in rows])


def predsim(net, images, raw, labels, beta=0.99):
    """(1 - beta) CE(linear) + beta |S(std(conv(h))) - S(Y)|^2."""

    def loss(j, x, _):
        h = net.conv(x, aux(j, 'terms.similarity.conv'))
        n = h.shape[2] * h.shape[3]
        spread = ((h - h.mean((2, 3), keepdim=True)) ** 2).sum((2, 3)).div(n - 1).sqrt()
        alike = similarities(torch.eye(CLASSES, dtype=h.dtype)[labels])
        similarity = ((similarities(spread) - alike) ** 2).mean()
        return (1 - beta) * linear_head(net, x, labels, aux(j, 'head')) + beta * similarity

    return train(net, images, labels, loss)


def decoded(net, x, raw, name):
    """Binary cross-entropy of the thumbnail decoder's image."""
    y = F.interpolate(x, raw.shape[-2:], mode='bilinear', align_corners=True)
    y = torch.sigmoid(net.conv(net.conv_norm(y, f'{name}.layers.0'), f'{name}.layers.1.conv'))
    return -(raw * y.log() + (1 - raw) * (1 - y).log()).mean()


def hidden_1c2f(net, x, name):
    y = net.conv_norm(x, f'{name}.layers.0', 2 if x.shape[1] < 64 else 1).mean((2, 3))
    return F.relu(net.linear(y, f'{name}.layers.3.0'))


def infopro(net, images, raw, labels):
    """lambda_1 BCE(decoder) + lambda_2 CE, both interpolated over the modules."""

    def loss(j, x, _):
        head = aux(j, 'head')
        task = F.cross_entropy(net.linear(hidden_1c2f(net, x, head), f'{head}.cls_head.fc'), labels)
        image = decoded(net, x, raw, aux(j, 'terms.reconstruction'))
        return between((0.05, 0.5), j) * task + between((5.0, 0.2), j) * image

    return train(net, images, labels, loss)


def infopro_contrast(net, images, raw, labels):
    """The task's term by supervised contrast at temperature 0.07."""

    def loss(j, x, _):
        head = aux(j, 'head')
        v = net.linear(hidden_1c2f(net, x, head), f'{head}.linear')
        v = v / v.norm(dim=1, keepdim=True)
        terms = []
        for i in range(len(v)):
            others = [a for a in range(len(v)) if a != i]
            positives = [a for a in others if labels[a] == labels[i]]
            if positives:
                below = torch.stack([(v[i] @ v[a] / 0.07).exp() for a in others]).sum()
                terms.append(-torch.stack([((v[i] @ v[p] / 0.07).exp() / below).log() for p in positives]).mean())
        contrast = sum(terms) / len(v)
        image = decoded(net, x, raw, aux(j, 'terms.reconstruction'))
        return between((0.05, 0.5), j) * contrast + between((5.0, 0.2), j) * image

    return train(net, images, labels, loss)


def auglocal(net, images, raw, labels):
    """Chains of 3, 2 and 2 units at even distances: round(n / d * i) of the n units behind."""

    def loss(j, x, _):
        depth = (3, round(3 * 0.75 + 0.25), round(3 * 0.5 + 0.5))[j]
        for i in range(depth):
            if j == 0 and i == 0:
                pass  # layer2.2 takes 32 channels: layer2.0 stands for it
            x = net.unit(x, aux(j, 'bridge.copies', str(i)))
        return linear_head(net, x, labels, aux(j, 'head'))

    return train(net, images, labels, loss)


def momentum(net, x, name):
    s = net.w.get(f'{name}.scale', torch.ones((), dtype=x.dtype))
    return s * net.unit(x, f'{name}.copies.0') + (2 - s) * net.unit(x, f'{name}.ema.module')


def man(net, images, raw, labels):
    """CE(head(s LB(x) + (2 - s) EMA(x))); s = 1 but in MAN++."""

    def loss(j, x, _):
        return linear_head(net, momentum(net, x, aux(j, 'bridge')), labels, aux(j, 'head'))

    return train(net, images, labels, loss)


def man_plus_plus_deep(net, images, raw, labels):
    """MAN++'s form for ViT: one more learnable unit behind the pair."""

    def loss(j, x, _):
        y = net.unit(momentum(net, x, aux(j, 'bridge')), aux(j, 'bridge.copies.1'))
        return linear_head(net, y, labels, aux(j, 'head'))

    return train(net, images, labels, loss)


def fba(net, images, raw, labels):
    """One unit a remaining stage, then linear(concat(GAP(h), W_i GAP(bank_i)))."""
    stages_behind = (2, 1, 1)

    def loss(j, x, before):
        for i in range(stages_behind[j]):
            x = net.unit(x, aux(j, 'bridge.copies', str(i)))
        parts = [x.mean((2, 3))]
        parts += [net.linear(before[CUTS[i]].mean((2, 3)), aux(j, f'merge.projections.{i}')) for i in range(j)]
        return F.cross_entropy(net.linear(torch.cat(parts, 1), aux(j, 'head.cls_head.fc')), labels)

    return train(net, images, labels, loss)


def two_streams(net, images, labels, cascade, reach, scores=None):
    """0.001 of each module by itself and 0.999 of windows; the last window shares the model's own head."""
    first = reach - 1

    def alone(j, x, _):
        name = aux(j - first, 'independent.head')
        return F.cross_entropy(scores(net, x, name), labels) if scores else linear_head(net, x, labels, name)

    one = train(net, images, labels, alone, 1, first, 0.001)
    other = train(net, images, labels, lambda j, x, _: cascade(j - first, x), reach, first, 0.999)
    return [a + b for a, b in zip(one, other, strict=True)]


def hilo(net, images, raw, labels):
    def loss(i, x):
        return F.cross_entropy(scores_2c2f(net, x, aux(i, 'cascade.head')), labels)

    return two_streams(net, images, labels, loss, 2, scores_2c2f)


def quarters(x):
    half = x.shape[-1] // 2
    return [x[..., r : r + half, c : c + half] for r in (0, half) for c in (0, half)]


def hpff(net, images, raw, labels, decoder=0.0):
    """The mean of the scores of 2x2 patches, all in one graph; the decoder's losses of the patches are summed."""

    def loss(i, x):
        scores = sum(scores_2c2f(net, patch, aux(i, 'cascade.head')) for patch in quarters(x)) / 4
        name = aux(i, 'cascade.terms.reconstruction')
        parts = zip(quarters(x), quarters(raw), strict=True) if decoder else ()
        return F.cross_entropy(scores, labels) + decoder * sum(decoded(net, a, b, name) for a, b in parts)

    return two_streams(net, images, labels, loss, 2, scores_2c2f)


def hpff_infopro(net, images, raw, labels):
    return hpff(net, images, raw, labels, 5.0)


def mlaan(net, images, raw, labels):
    """Windows of three; the first unit of a leap chain has a twin, whose output is added."""

    def loss(i, x):
        name = aux(i, 'cascade.bridge')
        x = net.unit(x, f'{name}.copies.0') + net.unit(x, f'{name}.ema.module')
        return linear_head(net, x, labels, aux(i, 'cascade.head'))

    return two_streams(net, images, labels, loss, 3)


def backlink(net, images, raw, labels, length=1):
    """Each loss flows through its block and the last unit of the block before."""
    parts = blocks()
    found = []
    for j, names in enumerate(parts):
        earlier = [name for block in parts[:j] for name in block]
        stop = len(earlier) - (length if j else 0)
        with torch.no_grad():
            start = net.block(images, earlier[:stop])
        x = net.block(start.detach(), [*earlier[stop:], *names])
        if j == len(parts) - 1:
            net.own_loss(x, labels).backward()
            break
        loss = linear_head(net, x, labels, aux(j, 'head'))
        loss.backward()
        found.append(loss.detach())
    return found


def sgr(net, images, raw, labels):
    """L_j + 2 - 2 cos(dL_j/dx_(j-1), dL_(j-1)/dx_(j-1))."""
    x, wanted, found = images, None, []
    for j, names in enumerate(blocks()):
        start = x.detach().requires_grad_()
        x = net.block(start, names)
        last = j == len(CUTS)
        loss = net.own_loss(x, labels) if last else linear_head(net, x, labels, aux(j, 'head'))
        total = loss
        if wanted is not None:
            (mine,) = autograd.grad(loss, start, create_graph=True)
            total = loss + 2 - 2 * (mine * wanted).sum() / (mine.norm() * wanted.norm())
        if not last:
            (wanted,) = autograd.grad(loss, x, retain_graph=True)
            found.append(total.detach())
        total.backward()
    return found


METHODS = {
    'greedy': greedy,
    'dgl': dgl,
    'predsim': predsim,
    'infopro': infopro,
    'infopro, contrast': infopro_contrast,
    'auglocal': auglocal,
    'man': man,
    'man_plus_plus': man,
    'man_plus_plus, ViT': man_plus_plus_deep,
    'fba': fba,
    'hilo': hilo,
    'hpff': hpff,
    'hpff, InfoPro': hpff_infopro,
    'mlaan': mlaan,
    'backlink': backlink,
    'sgr': sgr,
}
