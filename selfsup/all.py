"Everything public: `from selfsup.all import *`"
from selfsup.errors import *
from selfsup.output import *
from selfsup.console import *
from selfsup.lettering import *
from selfsup.shapes import *
from selfsup.drawn import *
from selfsup.opening import *
from selfsup.doubles import *
from selfsup.scan import *
from selfsup.layout import *
from selfsup.splits import *
from selfsup.photos import *
from selfsup.squares import *
from selfsup.budget import *
from selfsup.rotation import *
from selfsup.encoder import *
from selfsup.learner import *
from selfsup.features import *
from selfsup.probes import *
from selfsup.watch import *
from selfsup.figures import *
from selfsup.loaders import *
from selfsup.report import *
from selfsup.runs import *
from selfsup.contest import *
from selfsup.interval import *
from selfsup.curve import *
from selfsup.verdict import *
from selfsup.comparison import *
from selfsup.compare import *
from selfsup.evaluate import *
from selfsup.shortcuts import *
from selfsup.audit import *
from selfsup.suitability import *

import inspect as _inspect
import sys as _sys
from selfsup._docments import explain as _explain

for _module in [m for name, m in _sys.modules.items() if name.startswith('selfsup.') and hasattr(m, '__all__')]:
    _explain(_module, _inspect.getsource(_module))  # help() then shows the comments beside parameters
