"The repository's own tools, on small inputs."
import json
import re
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip('nbdev.readme_filter')  # what `make test-oldest` installs has an nbdev without it

from fastcore.nbio import md_frontmatter, mk_cell
from nbclient import NotebookClient
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbformat.v4 import new_code_cell, new_notebook

import check
import llms
import slow
from links import anchors, leads_nowhere, links, page_text
from outputs import complaints
from readme import cell_md, readme_link
from rendering import lost_dashes, mistaken_names, misshown, nested_links
from requirements import required
from titles import lost_lines

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

def page(*texts): return dict(cells=[dict(id=f'c{i}', cell_type='markdown', source=text.splitlines(True)) for i, text in enumerate(texts)])

@pytest.mark.parametrize('texts', [('# Title\n\n> What it is',), ('# Title',), ('# Title\n> What it is\n', 'An introduction.\n\n> A quotation'),
                                   ('No title\n\nat all',), ('## A section\n\nand text', '# Title')])
def test_title_keeps_all(texts): assert lost_lines(page(*texts)) == []

@pytest.mark.parametrize('text, lost', [('# Title\n\n> What it is\n\nAn introduction.', ['An introduction.']), ('# Title\n> one\n> two', ['> two']),
                                        ('# Title\n\n- a point: here\n- another', ['- a point: here', '- another']),
                                        ('before\n# Title\n## Section', ['before', '## Section'])])
def test_title_loses(text, lost):
    assert [line.partition(': ')[2] for line in lost_lines(page(text, 'more'))] == lost
    assert [line.partition(': ')[2] for line in lost_lines(page('no title', text, 'more'))] == lost

@pytest.mark.parametrize('kept, dropped', [('# T\n\n> D', ''), ('# T\n\n> D\n', 'An introduction.'), ('# T\n> D\n', '> second')])
def test_title_as_nbdev_reads_it(kept, dropped):
    assert md_frontmatter(f'{kept}{dropped}') == dict(title='T', description='D')
    assert len(lost_lines(page(f'{kept}{dropped}'))) == bool(dropped)

@pytest.mark.parametrize('text', ['[`f`](a.html#f) and [g](b.html)', '[![](a.png)](b.html)', '[![a [b](c)](a.png)](b.html)', '```\n[[`f`](a)](b)\n```',
                                  '- [x] [`f`](a)', '[1] [`f`](a) (b)'])
def test_links_not_nested(text): assert not list(nested_links(text))

@pytest.mark.parametrize('text', ['[[`f`](a.html#f)](b.ipynb)', 'See [the page of [`f`](a.html#f), too](b.ipynb).', '[[f](a)](b)'])
def test_links_nested(text): assert len(list(nested_links(text))) == 1

def test_linkify_nests():
    "nbdev's own way to link names, which this check is about"
    lookup = NbdevLookup(incl_libs='selfsup')
    assert len(list(nested_links(lookup.linkify('See [`compare`](71_compare.ipynb).')))) == 1
    assert not list(nested_links(lookup.linkify('See `compare` and [Compare](71_compare.ipynb).')))

def mistaken(text, code=''): return len(list(mistaken_names(text, code, 'page.html', DOCS)))
OURS, HOME = f'[`turn`]({DOCS}/rotation.html#turn)', f'[`turn`]({DOCS}/page.html#turn)'

@pytest.mark.parametrize('text, code', [(f"Pillow's {OURS} is", ''), (f"fastai's {HOME}", ''), (f'{OURS} keeps', 'im.turn(90)'),
                                        (OURS.replace('turn`', 'turn()`'), 'im.turn()')])
def test_name_of_something_else(text, code): assert mistaken(text, code) == 1

@pytest.mark.parametrize('text, code', [(f'{OURS} keeps', 'turn(im, 90)'), (f'{HOME} keeps', 'im.turn(90)'), (f"the package's {OURS}", ''),
                                        (f"Pillow's `Image.turn`, {OURS}", ''), ("Pillow's [`turn`](https://example.org/turn)", 'im.turn(90)'),
                                        (f'```\nPillow\'s {OURS}\n```', '')])
def test_name_of_ours(text, code): assert mistaken(text, code) == 0

@pytest.mark.parametrize('text', ['take --encoder.', '<td>--cut 3</td>', 'one--two', '| --out | a |\n|---|---|'])
def test_dash_is_lost(text): assert len(list(lost_dashes(text))) == 1

@pytest.mark.parametrize('text', ['take `--encoder`.', '```\n--cut\n```', '    selfsup --out x', '| a |\n|---|\n|:--|\n', '<!-- x -->', '---\n', 'a - b'])
def test_dash_is_kept(text): assert not list(lost_dashes(text))

def test_misshown(tmp_path):
    ours = f'[`turn`]({get_config().doc_url}/rotation.html#turn)'
    cells = [dict(cell_type='markdown', source=f'[{ours}](a.html), take --encoder; {ours}'), dict(cell_type='code', source='im.turn(90)', outputs=[])]
    (tmp_path/'tutorials').mkdir()
    (tmp_path/'tutorials/01_page.ipynb').write_text(json.dumps(dict(cells=cells)))
    (tmp_path/'_quarto.yml').write_text('format: html')
    found = [line.partition(': ')[::2] for line in misshown(tmp_path)]
    assert [about for about, _ in found] == ['tutorials/01_page.ipynb']*4
    (tmp_path/'_quarto.yml').write_text('from: markdown-smart')
    assert [line.partition(': ')[::2] for line in misshown(tmp_path)] == found[:3]

def test_smart_punctuation_is_off(): assert 'from: markdown-smart' in (Path(__file__).parents[1]/'nbs/_quarto.yml').read_text().splitlines()

def test_imports_are_silent_in_jupyter():
    cell = new_code_cell('from selfsup.all import *\nfrom fastai.vision.all import *')
    NotebookClient(new_notebook(cells=[cell]), timeout=300).execute()
    assert cell.outputs == []

def code_page(*sources, runs=None):
    cells = [dict(id=f'c{i}', cell_type='code', source=s.splitlines(True), execution_count=runs, outputs=[]) for i, s in enumerate(sources)]
    return dict(cells=[*cells, dict(id='m', cell_type='markdown', source=['#| slow'])])

def test_which_pages_are_slow():
    assert slow.is_slow(code_page('1', '#| slow\n2')) and slow.is_slow(code_page("#| fig-alt: 'x'\n#|slow\n2"))
    assert not slow.is_slow(code_page('slow = 1', '#| slowly'))

def test_data_of_a_page(tmp_path):
    page = code_page("p = fastai_path('data')/'flowers_160'", "a, b = fastai_path('data')/'cifar10_png6k', 1\nuntar_data(URLs.CIFAR)")
    assert slow.data_folders(page) == ['cifar10', 'cifar10_png6k', 'flowers_160']
    (tmp_path/'cifar10').mkdir()
    lines = slow.lacking(page, tmp_path)
    assert len(lines) == 2 and "'cifar10_png6k'" in lines[0] and 'kaggle.com' in lines[1]
    assert slow.data_folders(code_page('draw_world(path)')) == []

def test_which_cells_were_left_out():
    page = code_page('1', '#| slow\n2', '', runs=1)
    assert slow.left_out(page) == []
    page['cells'][1]['execution_count'] = None
    assert slow.left_out(page) == ['c1']
    assert slow.left_out(slow.forget_runs(page)) == ['c0', 'c1']

@pytest.fixture
def slow_tree(tmp_path, monkeypatch):
    "A tree with one page that is not slow, one that is, and one whose data is not there; pages run without nbdev"
    tree, data = tmp_path/'tree', tmp_path/'data'
    tiny = "import os; os.environ.get('SELFSUP_TINY')"
    pages = {'00_quick': code_page('1'), 'tutorials/06_ready': code_page(tiny, '#| slow\n2'),
             'tutorials/07_lacking': code_page(tiny, "#| slow\nfastai_path('data')/'bccd_cells'")}
    (tree/'nbs/tutorials').mkdir(parents=True)
    def write(name, page): (tree/f'nbs/{name}.ipynb').write_text(json.dumps(page))
    for name, page in pages.items(): write(name, page)
    monkeypatch.setattr(check, 'fastai_data', lambda: (data, None))
    def runs_all_but(*left):
        def run(*command, SELFSUP_TINY, **kwargs):
            asked = [name for name in pages if re.search(command[command.index('--file-re') + 1], f'{name}.ipynb')]
            assert asked == ['tutorials/06_ready'] and SELFSUP_TINY == '1' and 'slow' in command
            page = json.loads((tree/f'nbs/{asked[0]}.ipynb').read_text())
            for cell in page['cells'][:2]: cell['execution_count'] = None if cell['id'] in left else 1
            write(asked[0], page)
        monkeypatch.setattr(check, 'run', run)
    return tree, runs_all_but, write

def test_slow_pages(slow_tree):
    tree, runs_all_but, write = slow_tree
    runs_all_but()
    line, = check.slow_pages(tree, None)
    assert line.startswith('07_lacking.ipynb: ') and 'bccd_cells' in line and 'BCCD_Dataset' in line

def test_slow_cell_that_was_not_run(slow_tree):
    tree, runs_all_but, write = slow_tree
    runs_all_but('c1')
    with pytest.raises(check.Failed, match='06_ready.ipynb: cell c1 was not run'): check.slow_pages(tree, None)

def test_slow_page_without_a_tiny_size(slow_tree):
    tree, runs_all_but, write = slow_tree
    write('00_quick', code_page('#| slow\n1'))
    with pytest.raises(check.Failed, match='no tiny size under SELFSUP_TINY: 00_quick.ipynb'): check.slow_pages(tree, None)

def test_slow_pages_of_this_tree(tmp_path):
    pages = [page for page in check.notebooks_of(check.ROOT).values() if slow.is_slow(page)]
    assert pages and all(map(slow.has_tiny_size, pages))
    assert all(len(slow.lacking(page, tmp_path)) == len(slow.data_folders(page)) for page in pages)

@pytest.mark.parametrize('checks, words, code', [([('a', lambda *_: None)], '1 passed, 0 failed', 0), ([('a', lambda *_: ['b: c'])], 'skipped b: c\n1 passed, 0 failed, 1 skipped', 0),
                                                 ([('a', lambda *_: None), ('d', lambda *_: 1/0)], '1 passed, 1 failed', 1)])
def test_count_of_checks(checks, words, code, monkeypatch, capsys):
    monkeypatch.setattr(check, 'CHECKS', [(name, 'mend', f) for name, f in checks])
    monkeypatch.setattr(check, 'fresh_copy', lambda folder: folder)
    monkeypatch.setattr('sys.argv', ['check.py'])
    with pytest.raises(SystemExit) as stopped: check.main()
    assert stopped.value.code == code and capsys.readouterr().out.strip().endswith(words)

@pytest.mark.parametrize('changed', [None, 'settings.ini', 'CITATION.cff', 'CHANGELOG.md'])
def test_the_version_stands_in_three_places(tmp_path, changed):
    texts = {'settings.ini': '[DEFAULT]\nversion = {}\n', 'CITATION.cff': 'cff-version: 1.2.0\nversion: {}\n',
             'CHANGELOG.md': '# Changelog\n\n## {} (unreleased)\n\n## 0.0.1\n'}
    for name, text in texts.items(): (tmp_path/name).write_text(text.format('9.9' if name == changed else '0.1.0'))
    if not changed: return check.one_version(tmp_path, None)
    with pytest.raises(check.Failed, match=f'{changed} has version 9.9'): check.one_version(tmp_path, None)

def test_the_overview_names_every_page_and_has_the_addresses_of_the_site(monkeypatch):
    root = Path(check.__file__).parent.parent
    monkeypatch.chdir(root)
    text = llms.overview()
    for page in (root/'nbs').rglob('*.ipynb'):
        assert f'/{re.sub("[0-9]+_", "", page.relative_to(root/"nbs").with_suffix(".html").as_posix())})' in text, page
    assert '- `pretrain`: Pretrain an encoder by a pretext task' in text and '`_' not in text
