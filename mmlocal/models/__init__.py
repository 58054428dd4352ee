"""Networks and parts of networks that the hosts lack, and stock networks with replaced units.

What subclasses a host's class is imported by the configs that use it (`custom_imports`), never by mmlocal.
`gso_yolo` and `replacement` import no host, and the registry finds them.
"""
