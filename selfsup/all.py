"Everything public: `from selfsup.all import *`"
from selfsup.errors import *
from selfsup.drawn import *
from selfsup.photos import *
from selfsup.rotation import *
from selfsup.encoder import *
from selfsup.learner import *
from selfsup.report import *
from selfsup.runs import *
from selfsup.compare import *
