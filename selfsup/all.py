"Everything public: `from selfsup.all import *`"
from selfsup.errors import *
from selfsup.output import *
from selfsup.console import *
from selfsup.lettering import *
from selfsup.run_folder import *
from selfsup.statistics import *
from selfsup.workers import *
from selfsup.data.shapes import *
from selfsup.data.drawn import *
from selfsup.data.pictures import *
from selfsup.data.doubles import *
from selfsup.data.scan import *
from selfsup.data.layout import *
from selfsup.data.splits import *
from selfsup.data.doubts import *
from selfsup.data.photos import *
from selfsup.data.squares import *
from selfsup.data.augmentation import *
from selfsup.data.budget import *
from selfsup.report import *
from selfsup.models.encoder import *
from selfsup.models.ready_made import *
from selfsup.models.saved import *
from selfsup.models.card import *
from selfsup.models.export import *
from selfsup.models.heads import *
from selfsup.models.normalization import *
from selfsup.models.features import *
from selfsup.transfer.processes import *
from selfsup.transfer.training import *
from selfsup.transfer.learner import *
from selfsup.transfer.loaders import *
from selfsup.transfer.classifier import *
from selfsup.transfer.predictions import *
from selfsup.transfer.finetune import *
from selfsup.transfer.probes import *
from selfsup.transfer.resume import *
from selfsup.transfer.loggers import *
from selfsup.pretext.views import *
from selfsup.pretext.task import *
from selfsup.pretext.rotation import *
from selfsup.pretext.loaders import *
from selfsup.pretext.learner import *
from selfsup.pretext.plan import *
from selfsup.pretext.pretrain import *
from selfsup.pretext.watched_features import *
from selfsup.pretext.game import *
from selfsup.evaluation.figures import *
from selfsup.evaluation.film import *
from selfsup.evaluation.methods import *
from selfsup.evaluation.benchmark import *
from selfsup.evaluation.curve import *
from selfsup.evaluation.verdict import *
from selfsup.evaluation.comparison import *
from selfsup.evaluation.compare import *
from selfsup.evaluation.evaluate import *
from selfsup.checks.looks import *
from selfsup.checks.marks import *
from selfsup.checks.audit import *
from selfsup.checks.suitability import *

import inspect as _inspect
import sys as _sys
from importlib import import_module as _import_module
from selfsup._docments import explain as _explain

for _task in TASKS:
    _module = _import_module(f'selfsup.pretext.{_task}')
    globals().update({name: getattr(_module, name) for name in _module.__all__})

for _module in [m for name, m in _sys.modules.items() if name.startswith('selfsup.') and hasattr(m, '__all__')]:
    _explain(_module, _inspect.getsource(_module))  # help() then shows the comments beside parameters
