"""Networks that the hosts lack, and stock networks with replaced units.

A network is imported by the configs that use it (`custom_imports`), never by mmlocal.
"""
