"The comments beside parameters, read from the source: for `help`, and for the command line"
import ast
import inspect
import re
from typing import NamedTuple

class Parameter(NamedTuple):
    "A parameter as it stands in the source"
    name:str
    annotation:ast.expr|None
    default:ast.expr|None
    rare:bool # It comes after a bare `*`
    comment:str # '' if there is none

def _comment(lines, node, between):
    "The comment behind `node`, if nothing but `between` stands before it"
    rest = lines[node.end_lineno - 1][node.end_col_offset:].decode()
    found = re.match(rf'{between}#\s*(.*)', rest)
    return found[1].rstrip() if found else ''

def parameters(
    f:ast.FunctionDef, # From the source of a module
    lines:list, # Of that source, as bytes, since `ast` counts in bytes
)->list: # A `Parameter` each
    "The parameters of a function"
    args = f.args
    plain = [*args.posonlyargs, *args.args]
    defaults = [None]*(len(plain) - len(args.defaults)) + args.defaults
    rows = [(a, d, False) for a, d in zip(plain, defaults)]
    rows += [(a, d, True) for a, d in zip(args.kwonlyargs, args.kw_defaults)]
    rows += [(a, None, False) for a in (args.vararg, args.kwarg) if a]
    return [Parameter(a.arg, a.annotation, d, rare, _comment(lines, d or a, r'[\s,)]*')) for a, d, rare in rows]

def _fields(node, lines):
    "The fields of a dataclass, as parameters"
    fields = [o for o in node.body if isinstance(o, ast.AnnAssign)]
    return [Parameter(o.target.id, o.annotation, o.value, False, _comment(lines, o, r'\s*')) for o in fields]

def _section(title, rows):
    "A section as NumPy's docstrings have it"
    return '\n'.join([title, '-'*len(title), *(f'{head}\n    {text}' for head, text in rows)])

def _explain(o, params, returns=()):
    "Put comments into the docstring of `o`; `returns` holds a type and the comment behind it"
    typed = lambda p: f"{p.name} : {ast.unparse(p.annotation)}" if p.annotation else p.name
    said = [(typed(p), p.comment) for p in params if p.comment]
    sections = [_section(title, rows) for title, rows in (('Parameters', said), ('Returns', returns)) if rows]
    if sections: o.__doc__ = '\n\n'.join([o.__doc__ or '', *sections]).lstrip()

def _explain_function(owner, node, lines):
    "Explain the function of `node`, which a module or class holds"
    o = getattr(owner, node.name, None)
    o = getattr(o, '__func__', o)  # of a class method
    code = getattr(inspect.unwrap(getattr(o, 'fget', o)), '__code__', None)
    first = min(n.lineno for n in (node, *node.decorator_list))
    if code is None or code.co_firstlineno != first: return  # the name means something else by now
    returns = _comment(lines, node.returns, r'\s*:\s*') if node.returns else ''
    _explain(o, parameters(node, lines), [(ast.unparse(node.returns), returns)] if returns else [])

def _explain_class(cls, node, lines):
    "Explain a class: the parameters that make an instance, and the methods"
    methods = {o.name: o for o in node.body if isinstance(o, ast.FunctionDef)}
    init = methods.pop('__init__', None)
    _explain(cls, parameters(init, lines) if init else _fields(node, lines))
    for method in methods.values(): _explain_function(cls, method, lines)

def _is_patch(node):
    "Does fastcore's `patch` put the function into a class?"
    return any(isinstance(o, ast.Name) and o.id == 'patch' for d in node.decorator_list for o in ast.walk(d))

def explain(
    module, # Just loaded; the docstrings of what it defines are added to
    source:str, # Its text
):
    "Let `help` show the comments beside parameters"
    names, lines = vars(module), source.encode().splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef): _explain_class(names[node.name], node, lines)
        elif isinstance(node, ast.FunctionDef):
            owner = eval(ast.unparse(node.args.args[0].annotation), names) if _is_patch(node) else module
            _explain_function(owner, node, lines)
