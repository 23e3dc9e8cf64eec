"A page of the course as a curious reader runs it: one value changed that may be changed, and every cell run twice."
import re
from copy import deepcopy

from course import CHANGE, source

TRY = re.compile(r'^(\w+ = ).*?(\s*# .*\btry (.+))$', re.MULTILINE)  # batch = 32  # photos a batch; try 16

def settings(notebook):
    "The cells of a `notebook` that hold what the reader may change"
    return [c for c in notebook['cells'] if c['cell_type'] == 'code' and CHANGE in source(c).splitlines()]

def tries(notebook): return [m for c in settings(notebook) for m in TRY.finditer(source(c))]

def changed(notebook):
    "A `notebook` whose first value with a `try` beside it is the one to try, and all of whose cells of code stand twice"
    new, (first, *_) = deepcopy(notebook), tries(notebook)
    for cell in settings(new):
        cell['source'] = source(cell).replace(first[0], first[1] + first[3] + first[2], 1).splitlines(True)
    twice = []
    for cell in new['cells']: twice += [cell, deepcopy(cell) | dict(id=cell['id'] + '-again')] if cell['cell_type'] == 'code' else [cell]
    return new | dict(cells=twice)
