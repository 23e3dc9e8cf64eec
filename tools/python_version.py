"Stops with a clear message where this Python is older than pyproject.toml asks for."
import re, sys
from pathlib import Path

pyproject = Path(__file__).resolve().parent.parent/'pyproject.toml'
need = tuple(int(n) for n in re.search(r'requires-python = ">=(\d+)\.(\d+)"', pyproject.read_text()).groups())
if sys.version_info < need:
    sys.exit('selfsup needs Python %d.%d or newer and this is Python %d.%d; name another one: make PYTHON=python3.12 ...'
             % (need + sys.version_info[:2]))
