"The command line, most of it without loading anything heavy; and the comments that `help` shows."
import ast
import inspect
import os
import pydoc
import shlex
import subprocess
import sys
import types
from importlib import metadata

import pytest
from fastcore.docments import docments

import selfsup
from selfsup import cli
from selfsup._docments import explain, parameters
from selfsup.errors import InputError
from selfsup.run_folder import Stopped

HEAVY = {'torch', 'fastai', 'numpy', 'pandas', 'matplotlib', 'PIL', 'scipy', 'sklearn'}
# runs main, and says at the end which of the names in HEAVY were loaded
WATCHED = f'''
import sys
from selfsup.cli import main
try: main()
finally: print('loaded', sorted({HEAVY} & set(sys.modules)), file=sys.stderr)
'''
# runs main with a function that tells what it sees in place of every real one
TELLTALE = '''
import sys, types
from selfsup import cli
def tell(**kwargs): {body}
cli.import_module = lambda name: types.SimpleNamespace(**dict.fromkeys(cli.COMMANDS, tell))
cli.main()
'''

def python(code, *args, **env):
    "What a fresh Python prints, and its exit code; None in `env` unsets"
    env = {k: v for k, v in (os.environ | env).items() if v is not None}
    done = subprocess.run([sys.executable, '-c', code, *args], capture_output=True, env=env, cwd=os.sep)
    return done.returncode, done.stdout, done.stderr

def typed(capsys, *args):
    "(exit code, stdout, stderr) of main in this process"
    with pytest.raises(SystemExit) as e: cli.main(list(args))
    return e.value.code or 0, *capsys.readouterr()

@pytest.fixture
def calls(monkeypatch):
    "What the functions behind the commands are called with; none of them runs"
    found = []
    class Called:
        def __init__(self, name): self.name = name
        def __call__(self, **kwargs): found.append((self.name, kwargs))
    monkeypatch.setattr(cli, 'import_module', lambda module: types.SimpleNamespace(**{n: Called(n) for n in cli.COMMANDS}))
    return found

@pytest.mark.parametrize('line', ['', '--help', '--version', *(f'{c} --help' for c in cli.COMMANDS)])
def test_help_loads_nothing_heavy(line):
    code, out, err = python(WATCHED, *line.split())
    assert (code, err) == (0, b'loaded []\n') and out

ERRORS = {
    'pretain': "'pretain'", '--foo': '--foo', 'compare a --lables 3': '--labels', 'pretrain': "'FOLDER'", 'pretrain a': "'--out'",
    'compare a b': '(b)', 'compare a --seeds': "'--seeds'", 'compare a --seeds many': "'many'", 'audit a --seed -1': "'-1'",
    'audit a --seed 4294967296': "'4294967296'", 'audit a --size 3.5': "'3.5'", 'pretrain a --out b --lr nan': "'nan'",
    'pretrain a --out b --lr fast': "'fast'", 'compare a --lrs 0.1,O.2': "'O.2'", 'compare a --lrs 0.1,': "''", 'audit a --device gpu': "'gpu'",
    'audit ""': 'empty', 'compare a --out ""': 'empty', 'compare a --lrs 0.1 0.2': '--lrs 0.1,0.2', 'compare --lrs 0.1 0.2 a': '--lrs 0.1,0.2',
    'compare a --lrs=0.1 0.2': '--lrs 0.1,0.2', 'compare a --lrs 0.1, 0.2': '--lrs 0.1,0.2', 'compare a --lrs "0.1 0.2"': 'commas',
    'pretrain a --out b --pretext rotatoin': 'rotation, jigsaw', 'pretrain a --out b --pretext ""': 'no pretext task',
    'pretrain a --out b --pretext jigsaw --angles 0,180': 'jigsaw was asked for; leave it out',
    'suitability a --angles 0 180': '--angles 0,180', 'predict': "'MODEL'", 'predict a': "'PHOTOS...'", 'predict a b ""': 'empty',
    'predict "" b': 'empty', 'predict a b --out ""': 'empty', 'predict a --out b': "'PHOTOS...'",
    'audit a --angles 0 90 180,270 --n 9': '--angles 0,90,180,270', 'audit a --angles -90 0': '--angles -90,0'}

@pytest.mark.parametrize('line, what', ERRORS.items())
def test_typing_error(capsys, calls, line, what):
    code, out, err = typed(capsys, *shlex.split(line))
    assert (code, out, calls) == (2, '', []) and what in err
    assert err.startswith('selfsup: ') and err.count('\n') == 1 and err.endswith('.\n')

@pytest.mark.parametrize('line', list(ERRORS)[:4])
def test_typing_error_loads_nothing_heavy(line):
    code, out, err = python(WATCHED, *line.split())
    assert (code, out) == (2, b'') and err.endswith(b'loaded []\n')

def test_typed_values_and_nothing_else_reach_the_function(capsys, calls):
    line = 'compare a --lrs 0.001,0.003 --steps 10,40 --seeds 2 --each-seed --labels 10% --labels-csv t.csv'
    assert typed(capsys, *line.split())[0] == 0
    assert calls == [('compare', dict(folder='a', lrs=[.001, .003], steps=[10, 40], seeds=2, each_seed=True,
                                      labels='10%', labels_csv='t.csv'))]
    assert typed(capsys, 'audit', 'a', '--angles=-90,0')[0] == 0
    assert calls[1:] == [('audit', dict(folder='a', angles=[-90, 0]))]

@pytest.mark.parametrize('line', ['predict a b c.jpg --out d', 'predict --out d a b c.jpg', 'predict a b --out d c.jpg'])
def test_arguments_stand_anywhere(capsys, calls, line):
    assert typed(capsys, *line.split())[0] == 0
    assert calls == [('predict', dict(model='a', photos=('b', 'c.jpg'), out='d'))]

def test_usage_names_the_arguments(capsys):
    out = typed(capsys, 'predict', '--help')[1]
    assert out.startswith('Usage: selfsup predict [OPTIONS] MODEL PHOTOS...\n')
    assert '\nArguments:\n  MODEL      Folder' in out and '\n  PHOTOS...  Photos' in out

def test_a_task_is_made_of_its_options(capsys, calls, monkeypatch):
    from selfsup.pretext import task
    loaded = cli.import_module
    monkeypatch.setattr(cli, 'import_module', lambda name: task if name == 'selfsup.pretext.task' else loaded(name))
    for line in ('pretrain a --out b --angles 0,180', 'suitability a --pretext rotation --angles 0,180'):
        assert typed(capsys, *line.split())[0] == 0
        assert calls.pop()[1]['pretext'].meta() == {'name': 'rotation', 'angles': [0, 180]}
    assert typed(capsys, 'pretrain', 'a', '--out', 'b', '--pretext', 'jigsaw')[0] == 0
    assert calls == [('pretrain', dict(folder='a', out='b', pretext='jigsaw'))]

def test_several_tasks_get_the_options_of_their_own(capsys, calls, monkeypatch):
    from selfsup.pretext import task
    source = '''
def compare(
    folder:str, # Photos
    pretext:list[PretextTask]=('rotation',), # Tasks
): "Compare"
'''
    own = cli._source
    monkeypatch.setattr(cli, '_source', lambda module: own(module) if module != 'evaluation.compare'
                        else (ast.parse(source).body, source.encode().splitlines()))
    monkeypatch.setitem(cli.app.commands, 'compare', cli.as_command('compare'))
    loaded = cli.import_module
    monkeypatch.setattr(cli, 'import_module', lambda name: task if name == 'selfsup.pretext.task' else loaded(name))
    for line, names in (('--angles 0,180', ['rotation']), ('--pretext jigsaw,rotation --angles 0,180', ['jigsaw', 'rotation'])):
        assert typed(capsys, 'compare', 'a', *line.split())[0] == 0
        tasks = calls.pop()[1]['pretext']
        assert [t.name for t in tasks] == names and tasks[-1].angles == [0, 180]
    assert typed(capsys, 'compare', 'a', '--pretext', 'jigsaw,rotation')[0] == 0
    assert calls == [('compare', dict(folder='a', pretext=['jigsaw', 'rotation']))]

def test_options_of_tasks_have_names_of_their_own():
    from selfsup.pretext.task import TASKS, task_class
    tasks = cli.read_tasks()
    assert list(tasks) == list(TASKS)
    for name, params in tasks.items():
        assert [p.name for p in params] == list(inspect.signature(task_class(name)).parameters)
        assert all(p.comment for p in params)
    for c in cli.app.commands.values():
        names = [p.name for p in c.params]
        assert len(set(names)) == len(names), c.name

def test_list_before_a_folder_with_a_number_for_a_name(capsys, calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'2024').mkdir()
    assert typed(capsys, 'audit', '--angles', '0,90', '2024')[0] == 0
    assert calls == [('audit', dict(angles=[0, 90], folder='2024'))]

@pytest.mark.parametrize('name', cli.COMMANDS)
def test_examples_are_valid(name):
    for example in cli.COMMANDS[name][1:]:
        selfsup, command, *args = shlex.split(example)
        assert (selfsup, command) == ('selfsup', name)
        cli.app.commands[name].make_context(name, args)

@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_says_what_the_source_says(capsys, name):
    _, out, _ = typed(capsys, name, '--help')
    assert max(map(len, out.splitlines())) < 80
    often, rarely = out.split('Rarely needed:')
    words = lambda text: ' '.join(text.split())
    for p in cli.read_command(name)[1]:
        part = rarely if p.rare else often
        assert words(p.comment) in words(part).replace('`', '')
        assert p.name in cli.ARGUMENTS or f"--{p.name.replace('_', '-')}" in part
    assert all(f'  {line}' in rarely for line in cli.COMMANDS[name][1:])

@pytest.mark.parametrize('name', cli.COMMANDS)
def test_source_says_what_python_says(name):
    from importlib import import_module
    f = getattr(import_module(f'selfsup.{cli.COMMANDS[name][0]}'), name)
    doc, params = cli.read_command(name)
    expected = [(p.name, p.kind is p.KEYWORD_ONLY, p.default) for p in inspect.signature(f).parameters.values() if p.name != 'say']
    assert [(p.name, p.rare, ast.literal_eval(p.default) if p.default else inspect.Parameter.empty) for p in params] == expected
    assert {p.name: p.comment for p in params} == {k: v for k, v in docments(f, returns=False).items() if k != 'say'}
    assert inspect.getdoc(f).startswith(doc)

def test_exit_code_of_the_result(capsys, monkeypatch):
    leak = types.SimpleNamespace(audit=lambda **kwargs: types.SimpleNamespace(exit_code=1))
    monkeypatch.setattr(cli, 'import_module', lambda module: leak)
    assert typed(capsys, 'audit', 'a') == (1, '', '')

def failing(e):
    def f(**kwargs): raise e
    return types.SimpleNamespace(audit=f)

def test_input_error_is_one_paragraph(capsys, monkeypatch):
    monkeypatch.setattr(cli, 'import_module', lambda module: failing(InputError("'a' is empty; give another.")))
    assert typed(capsys, 'audit', 'a') == (2, '', "selfsup: 'a' is empty; give another.\n")

def test_interrupt_has_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr(cli, 'import_module', lambda module: failing(KeyboardInterrupt()))
    code, out, err = typed(capsys, 'audit', 'a')
    assert (code, out, err.strip()) == (130, '', 'selfsup: Stopped.')
    monkeypatch.setattr(cli, 'import_module', lambda module: failing(Stopped('Stopped. 2 of 3 epochs are kept.')))
    code, out, err = typed(capsys, 'audit', 'a')
    assert (code, out, err.strip()) == (130, '', 'selfsup: Stopped. 2 of 3 epochs are kept.')

def test_other_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(cli, 'import_module', lambda module: failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError): cli.main(['audit', 'a'])

@pytest.fixture
def gpus(monkeypatch):
    "Two GPUs that PyTorch believes in, and the one that was set"
    import torch
    from fastai.torch_core import defaults
    current = [0]
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: current[0])
    monkeypatch.setattr(torch.cuda, 'set_device', lambda i: current.__setitem__(0, i))
    monkeypatch.setattr(defaults, 'use_cuda', None)
    return current

@pytest.mark.parametrize('name, expected', [('cpu', 'cpu'), ('cuda', 'cuda:0'), ('cuda:0', 'cuda:0'), ('cuda:1', 'cuda:1')])
def test_device_is_what_fastai_takes(capsys, calls, gpus, name, expected):
    import torch
    from fastai.torch_core import default_device
    assert typed(capsys, 'audit', 'a', '--device', name)[0] == 0
    assert default_device() == torch.device(expected)
    assert calls == [('audit', dict(folder='a'))]

@pytest.mark.parametrize('name', ['cuda:2', 'mps'])
def test_device_that_is_not_there(capsys, calls, gpus, monkeypatch, name):
    import torch
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    expected = f'selfsup: The device {name} is not there; give one that PyTorch finds: cpu, cuda:0, cuda:1.\n'
    assert typed(capsys, 'audit', 'a', '--device', name) == (2, '', expected)
    assert calls == []

CONSOLES = [(dict(PYTHONIOENCODING='cp1252'), 'utf-8', 'cp1252'), (dict(PYTHONIOENCODING='ascii'), 'utf-8', 'ascii'), ({}, 'utf-8', 'utf-8'),
            (dict(LC_ALL='C'), 'utf-8', 'utf-8'), (dict(LC_ALL='C', PYTHONCOERCECLOCALE='0', PYTHONUTF8='0'), 'ascii', 'ascii')]

@pytest.mark.skipif(os.name == 'nt', reason='names of files are text there')
@pytest.mark.parametrize('env, read, written', CONSOLES)
def test_console_that_lacks_characters(env, read, written):
    name, env = '1 ✓ é'.encode() + b' \xff', dict(PYTHONIOENCODING=None, LC_ALL='C.UTF-8', PYTHONUTF8=None) | env
    code, out, err = python(TELLTALE.format(body='print(kwargs["folder"])'), 'audit', name, **env)
    assert (code, err) == (0, b'')
    assert out == name.decode(read, 'surrogateescape').encode(written, 'backslashreplace') + b'\n'
    assert rb'\udcff' in out

@pytest.mark.parametrize('encoding', ['cp1252', 'ascii', 'utf-8'])
def test_complaint_at_a_console_that_lacks_characters(encoding):
    code, out, err = python(WATCHED, 'audit', 'a', '--seed', '✓ é'.encode() + b'\xff', PYTHONIOENCODING=encoding)
    assert (code, out) == (2, b'') and err.startswith(b'selfsup: ') and rb'\udcff' in err

def test_figures_need_no_notebook():
    body = 'import matplotlib.pyplot as plt; print(plt.get_backend(), "matplotlib_inline" in sys.modules)'
    missing = 'import sys; sys.modules["matplotlib_inline"] = None\n'
    backend = 'module://matplotlib_inline.backend_inline'
    code, out, err = python(missing + TELLTALE.format(body=body), 'audit', 'a', MPLBACKEND=backend)
    assert (code, out.split()) == (0, [b'agg', b'True']), err

@pytest.mark.parametrize('mine, expected', [(None, b'PASSIVE'), ('ACTIVE', b'ACTIVE')])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(mine, expected):
    code, out, err = python(TELLTALE.format(body='import os; print(os.environ["OMP_WAIT_POLICY"])'), 'audit', 'a', OMP_WAIT_POLICY=mine)
    assert (code, out.strip()) == (0, expected), err

def test_whole_way_to_an_input_error():
    code, out, err = python('from selfsup.cli import main; main()', 'audit', b'caf\xe9', '--device', 'cpu', PYTHONIOENCODING='cp1252')
    assert (code, out) == (2, b'')
    assert err.startswith(b'selfsup: ') and rb'caf\udce9' in err and err.count(b'\n') == 1

def test_package_is_light():
    code = f'import sys, selfsup; print({HEAVY | {"click", "importlib.metadata"}} & set(sys.modules)); print(selfsup.__version__)'
    _, out, err = python(code)
    assert out.decode().split() == ['set()', metadata.version('selfsup')], err
    with pytest.raises(AttributeError, match='nothing_of_this_name'): selfsup.nothing_of_this_name

def test_import_is_quiet(): assert python('import selfsup.all') == (0, b'', b'')

SOURCE = '''
from fastcore.basics import patch
from functools import lru_cache

def f(
    a, # First
    b:int|None=None, # Second, ×2
    c='×#', d:list=[1,
                    2], # Fourth
    *args, # Others
    e:float=1e-3, # Fifth  # of all
    **kwargs # More
)->dict: # What comes out
    "Do it"

@lru_cache
def cached(
    a, # First
)->int: return 1 # no docment of a parameter

def f_later(a, # First
): pass

def twice(a): # of the first
    "The first"
def twice(a:int # Of the second
): "The second"

class A:
    def __init__(self, x:int): # not of x
        pass
    @classmethod
    def make(cls,
        n:int, # Size
    ): "Make it"
    @property
    def p(self)->int: # Its size
        "P"

class B(A):
    def __init__(self,
        y, # Its y
    ): pass

@patch
def g(self:A,
    z:str, # Its z
): "G"
'''

@pytest.fixture(scope='module')
def module():
    res = types.ModuleType('made')
    exec(SOURCE, vars(res))
    explain(res, SOURCE)
    return res

def test_parameters_as_they_stand():
    f = next(o for o in ast.parse(SOURCE).body if getattr(o, 'name', '') == 'f')
    found = [(p.name, p.comment, p.rare, p.default and ast.unparse(p.default)) for p in parameters(f, SOURCE.encode().splitlines())]
    assert found == [('a', 'First', False, None), ('b', 'Second, ×2', False, 'None'), ('c', '', False, "'×#'"), ('d', 'Fourth', False, '[1, 2]'),
                     ('e', 'Fifth  # of all', True, '0.001'), ('args', 'Others', False, None), ('kwargs', 'More', False, None)]

def test_docstring_has_the_comments(module):
    assert inspect.getdoc(module.f) == '''Do it

Parameters
----------
a
    First
b : int | None
    Second, ×2
d : list
    Fourth
e : float
    Fifth  # of all
args
    Others
kwargs
    More

Returns
-------
dict
    What comes out'''

@pytest.mark.parametrize('name, doc', [
    ('cached', 'Parameters\n----------\na\n    First'), ('f_later', 'Parameters\n----------\na\n    First'),
    ('twice', 'The second\n\nParameters\n----------\na : int\n    Of the second'), ('A', None),
    ('A.make', 'Make it\n\nParameters\n----------\nn : int\n    Size'), ('A.p', 'P\n\nReturns\n-------\nint\n    Its size'),
    ('B', 'Parameters\n----------\ny\n    Its y'), ('A.g', 'G\n\nParameters\n----------\nz : str\n    Its z')])
def test_docstring_of_each_kind(module, name, doc):
    o = module
    for part in name.split('.'): o = getattr(o, part)
    assert o.__doc__ == doc

def public():
    "Every public function and class, and every public method of those classes, by name"
    from selfsup import all as everything
    for name, o in vars(everything).items():
        if name[0] != '_' and getattr(o, '__module__', '').startswith('selfsup.') and callable(o):
            yield name, o
            methods = vars(o) if inspect.isclass(o) else []
            yield from ((f'{name}.{m}', getattr(o, m)) for m in methods if m[0] != '_' and callable(getattr(o, m)))

def test_help_shows_what_the_pages_show():
    lacking, seen = [], 0
    for name, o in public():
        f = o.__init__ if inspect.isclass(o) and '__init__' in vars(o) else o
        code = getattr(inspect.unwrap(f), '__code__', None)
        if code is None: continue
        own = [*code.co_varnames[:code.co_argcount + code.co_kwonlyargcount], 'return']
        said = {k: v for k, v in docments(o).items() if v and k in own}
        seen += len(said)
        text = ' '.join(pydoc.plain(pydoc.render_doc(o)).split())
        lacking += [(name, k) for k, v in said.items() if ' '.join(v.split()) not in text]
    assert lacking == [] and seen > 300
