# Greedy local learning: a head on every block's output. For classification a linear one.
# A preset holds the arguments of a LocalBackbone that make the method; a config has **_base_.greedy among them.
greedy = dict(auxiliary=dict(type='mmlocal.Auxiliary'))
