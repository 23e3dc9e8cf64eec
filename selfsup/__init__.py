"""Self-supervised learning by rotation, with fastai."""
import warnings
from importlib.metadata import version

# fastai's imports make torch warn of something that no user of this package can change
warnings.filterwarnings('ignore', message='`torch.jit', category=FutureWarning)
__version__ = version('selfsup')
