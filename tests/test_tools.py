"The repository's own tools, on small inputs."
import json
from importlib import metadata
from pathlib import Path

import pytest
from fastcore.nbio import mk_cell

from links import anchors, leads_nowhere, links, page_text
from outputs import complaints
from readme import cell_md, readme_link
from requirements import required

DOCS = 'https://selfsup.example/docs'

class NoSymbols:
    "A lookup of symbols that knows none"
    def linkify(self, text): return text

def code_cell(source='', outputs=(), **directives):
    cell = mk_cell(source, 'code', id='c1', outputs=list(outputs))
    cell.directives_ = {name.replace('_', '-'): value for name, value in directives.items()}
    return cell

def result(**data): return dict(output_type='execute_result', metadata={}, data={kind.replace('_', '/'): s for kind, s in data.items()})

def test_links_outside_code():
    text = '[`f`](a.html#f) ![](b.png "title") `[x](no)`\n\n```\n[y](no)\n```\n<img src="c.png">\n\n[ref]: d.ipynb\n'
    assert links(text) == ['a.html#f', 'b.png', 'c.png', 'd.ipynb']

def test_anchors():
    text = '## The `fit` loop, twice\n\n```python\n# no heading\n```\n## 2. Why?\n### Probe.fit\n## Why?\n## Why? {#because}\n<a id="here"></a>'
    assert anchors(text) == {'the-fit-loop-twice', 'why', 'probe.fit', 'why-1', 'why-2', 'because', 'here'}

@pytest.mark.parametrize('target', ['page.html', '01_page.ipynb#top', '#here', 'images/a.png', 'https://example.org/x', f'{DOCS}/page.html#top',
                                    DOCS, '/index.html', 'data:image/png;base64,x'])
def test_link_leads_somewhere(target, tmp_path): assert not nowhere(target, tmp_path)

@pytest.mark.parametrize('target', ['none.html', 'page.ipynb', '01_page.ipynb#none', '#none', 'images/none.png', f'{DOCS}/none.html', 'images'])
def test_link_leads_nowhere(target, tmp_path): assert nowhere(target, tmp_path)

def nowhere(target, site):
    (site/'images').mkdir()
    for file in ('index.ipynb', '01_page.ipynb', 'images/a.png'): (site/file).touch()
    return leads_nowhere(target, Path('index.ipynb'), site, {'index.html': {'here'}, 'page.html': {'top'}}, DOCS)

def test_link_from_a_folder(tmp_path):
    pages = {'page.html': set(), 'course/first.html': set()}
    assert not leads_nowhere('../page.html', Path('course/01_first.ipynb'), tmp_path, pages, DOCS)
    assert leads_nowhere('page.html', Path('course/01_first.ipynb'), tmp_path, pages, DOCS)

def test_page_text_holds_outputs(tmp_path):
    page = tmp_path/'page.ipynb'
    cells = [dict(cell_type='markdown', source=['one']), dict(cell_type='code', source='two', outputs=[result(text_markdown=['### three'])])]
    page.write_text(json.dumps(dict(cells=cells)))
    assert page_text(page).split() == ['one', '###', 'three']

@pytest.mark.parametrize('output, what', [
    (dict(output_type='error'), 'an error'),
    (dict(output_type='stream', name='stderr', text='x'), 'text from stderr'),
    (dict(output_type='stream', name='stdout', text=[' 10%|#  \r']), 'a progress bar'),
    (result(text_html='<progress value="1">'), 'a progress bar'),
    (result(text_plain="Path('/home/someone/photos')"), 'a path of the machine'),
    (result(text_plain='<function f at 0x7f00aa11>'), 'a memory address'),
    (dict(output_type='stream', name='stdout', text='UserWarning: x'), 'a warning')])
def test_unwanted_output(output, what):
    assert list(complaints(dict(cells=[dict(id='c1', outputs=[output])]))) == [f'cell c1 stores {what}']

def test_wanted_output():
    outputs = [result(text_plain="Path('photos/a.png') 84 % of 1/2 at https://example.org/home/x", image_png='iVBOR/tmp/x'),
               dict(output_type='stream', name='stdout', text='a line\n')]
    assert not list(complaints(dict(cells=[dict(id='c1', outputs=outputs), dict(id='c2')])))

@pytest.mark.parametrize('target, expected', [
    ('tutorials/01_first.ipynb#top', f'{DOCS}/tutorials/first.html#top'), ('images/a.png', 'nbs/images/a.png'),
    ('../LICENSE', 'LICENSE'), ('#here', '#here'), ('https://example.org', 'https://example.org')])
def test_readme_link(target, expected): assert readme_link(target, DOCS) == expected

def test_readme_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    md = lambda *args, **directives: cell_md(code_cell(*args, **directives), NoSymbols(), DOCS)
    table = result(text_html='<style>x</style><table></table>', text_plain='x')
    assert md('1+1', [result(text_plain='2')]) == ['```python\n1+1\n```', '```\n2\n```']
    assert md('df', [table], echo='false') == ['<table></table>']
    assert md('x', [table], output='false') == ['```python\nx\n```']
    assert md('x', [table], include='false') == []
    picture, = md('plot()', [result(image_png='aGVsbG8=')], echo='false', fig_cap='"A plot"')
    assert picture == '<img src="nbs/images/readme/c1-0.png" alt="A plot">'
    assert Path('nbs/images/readme/c1-0.png').read_bytes() == b'hello'

def test_required():
    names = required(metadata.distribution('nbconvert'))
    assert 'jinja2' in names and 'nbdev' not in names
