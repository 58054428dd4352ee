# DGL: its head "MLP-SR" for classification; for other tasks the host's own head, small.
dgl = dict(auxiliary=dict(type='mmlocal.Auxiliary', head=dict(for_cls=dict(type='mmlocal.DGLHead'))))
