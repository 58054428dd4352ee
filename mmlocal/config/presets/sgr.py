# SGR: a block's gradient at its input is to agree with the one that the block before got there.
sgr = dict(reconcile=1.0, auxiliary=dict(type='mmlocal.Auxiliary'))
