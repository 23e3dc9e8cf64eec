"""Self-supervised learning by rotation, with fastai."""
import warnings

# What importing fastai makes torch and pandas warn of, nobody who uses this package can change
warnings.filterwarnings('ignore', '`torch.jit', FutureWarning)
warnings.filterwarnings('ignore', "The 'mode.chained_assignment' option", module='fastai')

def __getattr__(name):
    if name != '__version__': raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib.metadata import version
    return version(__name__)
