"""Self-supervised learning by rotation, with fastai."""
import sys
import warnings
from importlib.machinery import PathFinder, SourceFileLoader

class _Loader(SourceFileLoader):
    "Loads a module of this package, and puts the comments beside parameters where `help` finds them"
    def exec_module(self, module):
        # what importing fastai makes torch and pandas warn of, nobody who uses this package can change;
        # said anew for each module, since filters come and go
        warnings.filterwarnings('ignore', '`torch.jit', FutureWarning)
        warnings.filterwarnings('ignore', "The 'mode.chained_assignment' option", module='fastai')
        super().exec_module(module)
        from ._docments import explain
        explain(module, self.get_source(module.__name__))

class _Finder:
    "Finds the modules of this package"
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if name.startswith(f'{__name__}.') else None
        if spec and type(spec.loader) is SourceFileLoader: spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec

sys.meta_path.insert(0, _Finder)

def __getattr__(name):
    if name != '__version__': raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib.metadata import version
    return version(__name__)
