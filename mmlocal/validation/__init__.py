"""Finding what is wrong with a config and its data before anything is trained; nothing is changed."""

from mmlocal.validation.validate import validate

__all__ = ['validate']
