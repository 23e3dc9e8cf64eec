"How the site shows a signature, a table, a message and a title: nbdev's ways, without what readers stumble over."
import ast, inspect, re, textwrap
from dataclasses import MISSING, fields, is_dataclass

from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.process import Processor
from nbdev.showdoc import BasicMarkdownRenderer

WIDTH = 88 # Characters that a box of code shows at once beside sidebar and contents
ROOM = 40 # Fewer characters than these are too few for a comment
NAMES = [(r'\b__main__\.', ''), # The notebook's own module
         (r'\b(?:\w+\.)+(?=[A-Z])', ''), # The place of a class
         (r':(NoneType|builtin_function_or_method|function|type)=', '='), # nbdev's guess where nothing is annotated
         (r'Optional\[(\w+)\]', r'\1 | None')]
TWO_ROWS = re.compile(r'<th></th>((?:\s*<th>[^<]+</th>)+)\s*</tr>\s*<tr>\s*<th>([^<]+)</th>(?:\s*<th></th>)+\s*</tr>')
SENTENCE = re.compile(r"""'(?:[^'\\]|\\.){60,}'|"(?:[^"\\]|\\.){60,}\"""")
STRING = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
SENTENCES = re.compile(rf'[\[(]{STRING}(?:,\s+{STRING})*,?[\])]')
COURSE = re.compile(r'tutorials/0*(\d+)_')
EMPTY = re.compile(r'<th([^>]*)>(?:\s|&nbsp;)*</th>')

def wrapped(code, comment):
    "A line of a signature as lines of at most `WIDTH`: a long comment goes on below its beginning"
    if len(code) + len(comment) + 3 <= WIDTH and comment: return [f'{code} # {comment}']
    beside = len(code) <= WIDTH - ROOM
    indent = ' '*(len(code) + 1 if beside else 8)
    rest = [f'{indent}# {part}' for part in textwrap.wrap(comment, WIDTH - len(indent) - 2)]
    if beside and rest: return [code + rest[0][len(code):], *rest[1:]]
    return textwrap.wrap(code, WIDTH, subsequent_indent=' '*8, drop_whitespace=True, break_long_words=False) + rest

def signature(text):
    "What nbdev makes of a signature, with names that a reader knows and lines that fit"
    lines = []
    for line in text.splitlines():
        code, _, comment = line.partition(' # ')
        for old, new in NAMES: code = re.sub(old, new, code)
        lines += wrapped(code, comment)
    return '\n'.join(lines)

def fields_of(sym):
    "(name, type, default as text) of each field of a dataclass or named tuple; none of another class"
    if is_dataclass(sym):
        default = lambda f: '...' if f.default_factory is not MISSING else '' if f.default is MISSING else repr(f.default)
        return [(f.name, f.type, default(f)) for f in fields(sym) if f.init]
    defaults = getattr(sym, '_field_defaults', {})
    return [(n, sym.__annotations__[n], repr(defaults[n]) if n in defaults else '') for n in getattr(sym, '_fields', ())]

def source_of(sym):
    "The source of a class; a notebook has none, but the module that is made of it has"
    try: return inspect.getsource(sym)
    except (OSError, TypeError): place = NbdevLookup()[sym.__name__]
    text = (get_config().config_path/place[1]).read_text(encoding='utf-8') if isinstance(place, tuple) else ''
    found = [o for o in ast.parse(text).body if isinstance(o, ast.ClassDef) and o.name == sym.__name__]
    return ast.get_source_segment(text, found[0]) if found else ''

def record(sym):
    "The signature of a class that is its fields, with the comments beside them"
    said = dict(re.findall(r'^\s+(\w+)\s*:[^#\n]*#\s*(.+)$', source_of(sym), re.MULTILINE))
    lines = [f'    {name}:{inspect.formatannotation(kind)}{"="*bool(default)}{default},' + f' # {said.get(name)}'*(name in said)
             for name, kind, default in fields_of(sym)]
    return '\n'.join([f'def {sym.__name__}(', *lines, '):'])

class Renderer(BasicMarkdownRenderer):
    "Shows a function or class; the hooks that fastai lets every callback or loader be given are left out"
    def __init__(self, sym, name=None, title_level=3):
        super().__init__(sym, name=name, title_level=title_level, maxline=WIDTH - 4)
        for hook in getattr(sym, '_methods', ()): getattr(self.dm, 'dm', {}).pop(hook, None)
        is_class = isinstance(sym, type)
        text = signature(record(sym) if is_class and fields_of(sym) else str(self.dm))
        self.dm = re.sub(r'\)->None:$', '):', f'class{text.removeprefix("def")}') if is_class else text

def one_header(html):
    "A table of pandas with its header in one row, and no empty header cell"
    return EMPTY.sub(r'<td\1></td>', TWO_ROWS.sub(r'<th>\2</th>\1</tr>', html))

def tidy_tables(cell):
    "Give every table of a cell's outputs one row of headers"
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        if 'text/html' in data: data['text/html'] = one_header(''.join(data['text/html']))

def plain_sentences(cell):
    "Show a long string, such as a message, as the text that it is, and a list with long ones a line each"
    for output in cell.get('outputs', []):
        text = ''.join(output.get('data', {}).get('text/plain', ''))
        if SENTENCE.fullmatch(text): output['data']['text/plain'] = ast.literal_eval(text)
        elif SENTENCES.fullmatch(text) and SENTENCE.search(text):
            lines = ast.literal_eval(text)
            if all(lines): output['data']['text/plain'] = '\n'.join(lines)

class numbered(Processor):
    "Put the number of a page of the course before its title"
    def cell(self, cell):
        found = COURSE.search(self.nb.get('path_', ''))
        if not found or cell.cell_type != 'raw': return
        cell.source = re.sub(r"^(title: ['\"]?)", rf'\g<1>{found[1]}. ', cell.source, flags=re.MULTILINE)
