"""Networks and parts of networks that the hosts lack.

What subclasses a host's class is imported by the configs that use it (`custom_imports`), never by mmlocal.
`gso_yolo` imports no host, and the registry finds it.
"""
