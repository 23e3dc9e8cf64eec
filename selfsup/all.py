"Everything public: `from selfsup.all import *`"
from selfsup.errors import *
from selfsup.shapes import *
from selfsup.drawn import *
from selfsup.photos import *
from selfsup.rotation import *
from selfsup.encoder import *
from selfsup.learner import *
from selfsup.features import *
from selfsup.probes import *
from selfsup.report import *
from selfsup.runs import *
from selfsup.contest import *
from selfsup.compare import *
