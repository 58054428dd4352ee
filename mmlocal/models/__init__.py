"""Networks that the hosts lack. Each is imported by the configs that use it (`custom_imports`), never by mmlocal."""
