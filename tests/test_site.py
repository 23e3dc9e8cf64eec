"What the site shows of pages, and what some readers could not see of it."
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pandas as pd
import pytest

pytest.importorskip('nbdev.readme_filter')  # what `make test-oldest` installs has an nbdev without it

from fastai.callback.core import Callback
from fastcore.basics import AttrDict
from fastcore.nbio import mk_cell

from links import problems
from readable import faults, page_faults, same_titles
from shown import Renderer, numbered, one_header, plain_sentences, signature, tidy_tables

def result(**data): return dict(output_type='execute_result', metadata={}, data={kind.replace('_', '/'): s for kind, s in data.items()})

def page(*texts): return dict(cells=[dict(id=f'c{i}', cell_type='markdown', source=text.splitlines(True)) for i, text in enumerate(texts)])

def one_cell(source, *outputs): return dict(cells=[dict(id='c1', cell_type='code', source=source, outputs=list(outputs))])
PICTURE, ALT = result(image_png='aGVsbG8='), '#| fig-alt: "A plot"\n'

@pytest.mark.parametrize('notebook, words', [
    (one_cell('plot()', PICTURE), 'no alt text'),
    (one_cell('show()', result(text_html='<img src="a.png">')), 'no alt text'),
    (one_cell(f'{ALT}show()', result(text_html='<img src="a.png" alt="">')), 'no alt text'),
    (page('# T', '![](a.png)'), 'no alt text'),
    (page('# T', '### deep'), 'skips a level: ### deep'),
    (page('# T\n## a', '### b', '##### c'), 'skips a level: ##### c'),
    (one_cell('show_doc(f)', result(text_markdown='### f')), 'skips a level: ### f'),
    (page('# T', '# U'), 'a second title: U'),
    (one_cell('df', result(text_html='<table><th></th><td>1</td></table>')), 'empty header'),
    (page('| | a |\n|---|---|\n| b | 1 |'), 'empty header: | | a |'),
    (one_cell('x = 1' + ' '*90 + '# 2'), 'has 98 characters, of which 88 fit'),
    (page('```\nselfsup' + ' '*90 + 'compare\n```'), 'of which 88 fit'),
    (one_cell('#| echo: false\nf', result(text_markdown='```python\n' + 'x'*99 + '\n```')), 'has 99 characters')])
def test_what_a_reader_could_not_see(notebook, words):
    found, = faults(notebook, 88)
    assert words in found

@pytest.mark.parametrize('notebook', [
    one_cell(f'{ALT}plot()', PICTURE), one_cell('#| hide\nplot()', PICTURE), one_cell('#| output: false\nplot()', PICTURE),
    one_cell('#| export\nx = 1' + ' '*99 + '# 2'), one_cell('#| echo: false\nx = 1' + ' '*99 + '# 2'),
    one_cell('#| fig-alt: ' + 'x'*99),
    page('# T\n\n> D', '## a\n### b\n## c', '```\n# no heading\n```', '![A plot](a.png)'), page('| a | b |\n|---|---|\n| | 1 |'),
    one_cell('show()', result(text_html='<img src="a" alt="A"><script>let s = `<img class="big">`</script>')),
    one_cell('df', result(text_html='<table><td></td><th>a</th></table>'))])
def test_what_all_can_see(notebook): assert list(faults(notebook, 88)) == []

def test_a_page_that_is_too_large():
    notebook = one_cell('1', result(text_plain='x'*1_600_000))
    assert [line for line in page_faults(json.dumps(notebook), 'a.ipynb')] == ['a.ipynb: the page has 1.6 MB, more than 1.5']

def test_titles_that_come_twice():
    texts = {'a.ipynb': '"title: One\\n"', 'b.ipynb': '"title: Two\\n"', 'c/a.ipynb': '"title: One\\n"'}
    assert list(same_titles(texts)) == ['2 pages have the title One: a.ipynb, c/a.ipynb']

@pytest.mark.parametrize('index', [None, 'epoch'])
def test_headers_of_pandas(index):
    html = pd.DataFrame({'a': [1, 2], 'b c': [3, 4]}).rename_axis(index).to_html()
    assert '<th></th>' in html
    shown = one_header(html)
    rows = [[cell.text for cell in row] for row in ElementTree.fromstring(shown).iter('tr')]
    assert rows == [[index, 'a', 'b c'], ['0', '1', '3'], ['1', '2', '4']]
    assert not list(faults(one_cell('df', result(text_html=shown)), 88))
    assert one_header(shown) == shown

def test_header_of_a_styler():
    shown = one_header(pd.DataFrame({'a': [1]}, index=['x']).style.to_html())
    assert not list(faults(one_cell('df', result(text_html=shown)), 88)) and '>a</th>' in shown

def test_tables_of_a_cell():
    cell = mk_cell('df', 'code', outputs=[result(text_html=['<th>', '</th>']), result(text_plain='x')])
    tidy_tables(cell)
    assert cell.outputs[0]['data']['text/html'] == '<td></td>'

@pytest.mark.parametrize('text, shown', [(repr("it's " + 'x'*60), "it's " + 'x'*60), (repr('short'), repr('short')), (repr(('x'*70, 'y'*70)), 'x'*70 + '\n' + 'y'*70),
                                         ("['a', '', \n 'b's it']", None), (repr(['', 'x'*70]), None), (repr(["it's", 'x'*70]), "it's\n" + 'x'*70),
                                         (repr(['a', 'b']), None), (repr([1, 'x'*70]), None), ('[1, 2]', '[1, 2]')])
def test_sentences_are_shown_plain(text, shown):
    cell = mk_cell('said', 'code', outputs=[result(text_plain=text)])
    plain_sentences(cell)
    assert cell.outputs[0]['data']['text/plain'] == (shown or text)

def test_signature():
    text = signature('def f(\n    a:__main__.A, device:NoneType=None, say:builtin_function_or_method=print,\n    g:Optional[typing.Callable]=None, # A pandas.DataFrame\n    x:torch.nn.Module=nn.Linear, p:pathlib.Path | None=None\n)->list[selfsup.a.B]:')
    assert text == 'def f(\n    a:A, device=None, say=print,\n    g:Callable | None=None, # A pandas.DataFrame\n    x:Module=Linear, p:Path | None=None\n)->list[B]:'

@pytest.mark.parametrize('code', ['    a:int,', '    a:' + 'x'*60 + ','])
def test_a_long_comment_goes_on_below(code):
    comment = ' '.join(f'word{i}' for i in range(30))
    lines = signature(f'{code} # {comment}').splitlines()
    assert lines[0].startswith(code) and max(map(len, lines)) <= 88
    assert ' '.join(line.removeprefix(code).strip(' #') for line in lines).strip() == comment

def test_hooks_of_a_callback_are_left_out():
    class Quiet(Callback): "Does nothing"
    class Loud(Callback):
        "Says something"
        def __init__(self, words='hello'): self.words = words
    assert 'after_batch' not in Renderer(Quiet)._repr_markdown_() and 'Does nothing' in Renderer(Quiet)._repr_markdown_()
    assert "words:str='hello'" in Renderer(Loud)._repr_markdown_()

def test_a_class_is_shown_as_one():
    class Point(NamedTuple):
        "A place"
        x:int # Pixels
        y:float=1.
    @dataclass
    class Box:
        "What is inside"
        inside:list=field(default_factory=list) # Things
    assert 'class Point(\n    x:int, # Pixels\n    y:float=1.0,\n):' in Renderer(Point)._repr_markdown_()
    assert 'class Box(\n    inside:list=..., # Things\n):' in Renderer(Box)._repr_markdown_()
    assert 'def one_header(' in Renderer(one_header)._repr_markdown_()

@pytest.mark.parametrize('path, title', [('nbs/tutorials/03_from_scratch.ipynb', "title: '3. What is it?'"), ('nbs/data/01_shapes.ipynb', "title: 'What is it?'")])
def test_pages_of_the_course_are_numbered(path, title):
    cell, prose = mk_cell("---\ntitle: 'What is it?'\n---\n", 'raw'), mk_cell('title: x', 'markdown')
    for c in (cell, prose): numbered(AttrDict(path_=path, cells=[])).cell(c)
    assert title in cell.source and prose.source == 'title: x'

def test_the_page_for_what_is_not_found_is_no_page_of_the_sidebar(tmp_path):
    (tmp_path/'sidebar.yml').write_text('website: {sidebar: {contents: []}}')
    for name in ('404.qmd', 'other.qmd'): (tmp_path/name).write_text('text')
    assert list(problems(tmp_path)) == ['nbs/sidebar.yml does not list other.qmd']
