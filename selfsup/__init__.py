"Self-supervised learning by rotation, with fastai."
from importlib.metadata import version
__version__ = version('selfsup')
