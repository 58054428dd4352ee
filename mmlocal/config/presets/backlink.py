# BackLink: a block's loss flows into the last units of the block before it, too.
backlink = dict(overlap=1, auxiliary=dict(type='mmlocal.Auxiliary'))
