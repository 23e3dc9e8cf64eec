"Names that everybody can use: each means one thing"
import builtins
import inspect
from collections import Counter
from importlib import import_module
from pkgutil import walk_packages
import selfsup

def public_names():
    "Every name that a module of the package exports, once for each module"
    for module in walk_packages(selfsup.__path__, 'selfsup.'):
        if not module.name.endswith(('.all', '._modidx')):
            yield from getattr(import_module(module.name), '__all__', [])

def test_no_two_modules_export_one_name():
    twice = [name for name, n in Counter(public_names()).items() if n > 1]
    assert twice == []

def test_no_public_name_shadows_a_builtin():
    assert [name for name in public_names() if hasattr(builtins, name)] == []

def test_all_has_every_module():
    source = inspect.getsource(import_module('selfsup.all'))
    modules = [m.name for m in walk_packages(selfsup.__path__, 'selfsup.') if not m.ispkg]
    apart = ('selfsup.all', 'selfsup.cli', 'selfsup._modidx', 'selfsup._docments')
    tasks = [f'selfsup.pretext.{name}' for name in import_module('selfsup.pretext.task').TASKS]
    assert [m for m in modules if m not in (*apart, *tasks) and f'from {m} import *' not in source] == []
