"The repository's own tools, on small inputs."
import json
import re
import sys
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
import course
import llms
import slow
from links import anchors, leads_nowhere, links, page_text
from outputs import complaints
from readable import faults
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
    page['cells'][0]['source'] = ['#| notest\n', 'check(...)']
    assert slow.left_out(page) == ['c1']

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

QUIZ = '''**{n}. What is chance?**

<details><summary>0</summary>No: that is worse than a guess.</details>
<details><summary>0.25</summary>Yes: one turn of four.</details>
<details><summary>0.5</summary>No: that is for two turns.</details>'''

def course_page():
    "A page that has all parts"
    prose = ['# A page\n\n> What it is about', '## The lesson', '## What the numbers showed', '## Limits\n\n- None.', '## Check yourself',
             *(QUIZ.format(n=n) for n in (1, 2, 3)), '## Exercises\n\n**1. Do it.** Now.']
    for n in (1, 2):
        prose += [f'::: {{.callout-tip collapse="true" title="Solution {n}"}}', f'Done.\n\n:::{chr(10)*2}**2. Again.**' if n == 1 else ':::']
    prose += ['## References', '[Next: more](02_b.ipynb)']
    cells = [dict(cell_type='markdown', id=f'm{i}', metadata={}, source=text.splitlines(True)) for i, text in enumerate(prose)]
    settings = dict(cell_type='code', id='c0', metadata={}, source=f'{course.CHANGE}\nsize = 32'.splitlines(True), outputs=[], execution_count=None)
    answers = [dict(settings, id=f'answer{n}', source=['#| notest\n', 'check_it(...)']) for n in (1, 2)]
    return dict(cells=[cells[0], settings, *cells[1:-2], *answers, *cells[-2:]])

def changed(page, old, new):
    "The page with `old` in place of `new` wherever it stands"
    for cell in page['cells']: cell['source'] = ''.join(cell['source']).replace(old, new).splitlines(True)
    return page

def test_a_page_of_the_course_has_all(): assert not list(course.faults(course_page(), '01_a', '02_b'))

@pytest.mark.parametrize('old, new, said', [
    ('## Limits', '## Bounds', 'no section "## Limits"'), ('## Limits', '## References', 'not in this order'), (course.CHANGE, '', 'no cell of settings'),
    ('02_b', '03_c', 'the last cell is not'), ('Yes: one turn', 'No: one turn', '0 choices that start'),
    ('No: that is for', 'Yes: that is for', '2 choices that start'), ('**3. What', '**5. What', 'question 3 does not start'),
    ('worse than a guess', 'worse than `guess`', 'has markdown'), ('No: that is worse', 'That is worse', 'a choice of question 1 is not'),
    ('<details><summary>0.5</summary>No: that is for two turns.</details>', '', 'question 1 has 2 choices'), ('**3. What', 'What', '2 questions, not 3 to 5'),
    ('**2. Again.**', 'Again.', 'exercises [1], not 1 to 2'), ('Solution 2', 'Solution 3', 'but solutions [1, 3]'), ('Done.\n\n:::\n', 'Done.\n', 'is not closed'),
    ('#| notest', '#| hide', '2 exercises, but 0 cells'), ('Done.', 'A linear probe.', '"Linear probe" has no link to 25_glossary.ipynb#linear-probe')])
def test_what_a_page_of_the_course_lacks(old, new, said):
    assert any(said in line for line in course.faults(changed(course_page(), old, new), '01_a', '02_b'))

@pytest.mark.parametrize('text', ['A [linear probe](25_glossary.ipynb#linear-probe), and the probe again.', 'A `linear probe`.', 'Another label.', '> A linear probe.'])
def test_terms_that_are_linked_or_no_prose(text): assert not list(course.glossary_faults(changed(course_page(), 'Done.', text), '01_a'))

def test_ten_questions_at_the_end_of_the_course_only():
    page = course_page()
    more = [dict(cell_type='markdown', id=f'q{n}', metadata={}, source=QUIZ.format(n=n)) for n in range(4, 11)]
    at = next(i for i, cell in enumerate(page['cells']) if '**3. What' in ''.join(cell['source']))
    page['cells'][at+1:at+1] = more
    assert list(course.quiz_faults(page, '01_a')) == ['10 questions, not 3 to 5'] and not list(course.quiz_faults(page, '24_wrap_up'))

def test_the_order_of_the_course():
    names, following = zip(*course.course_pages(check.ROOT/'nbs'))
    assert names[0] == '01_idea' and course.GLOSSARY not in names and following[:-1] == names[1:] and following[-1] == course.GLOSSARY
    assert {*names, course.GLOSSARY} == {p.stem for p in (check.ROOT/'nbs/tutorials').glob('*.ipynb')}

def test_a_change_goes_into_the_cell_of_settings():
    before, after = course_page(), course.with_change(course_page(), 'size = 64')
    differ = [b['id'] for a, b in zip(before['cells'], after['cells']) if a != b]
    assert differ == ['c0'] and ''.join(after['cells'][1]['source']).endswith('size = 32\nsize = 64')
    with pytest.raises(ValueError, match='no cell has the line'): course.with_change(changed(course_page(), course.CHANGE, ''), 'size = 64')

def test_every_cell_of_code_twice():
    page = course.twice(course_page())
    assert [c['id'] for c in page['cells'][:4]] == ['m0', 'c0', 'c0-2', 'm1'] and len({c['id'] for c in page['cells']}) == len(page['cells'])

@pytest.mark.parametrize('name', course.CHANGED)
def test_what_is_changed_is_a_setting(name):
    page = json.loads((check.ROOT/f'nbs/tutorials/{name}.ipynb').read_text(encoding='utf-8'))
    cell = next(''.join(c['source']) for c in page['cells'] if course.CHANGE in ''.join(c['source']))
    names = course.CHANGED[name].partition(' = ')[0].split(', ')
    assert all(re.search(rf'^(?:\w+, )*{n}\b', cell, re.MULTILINE) for n in names)

@pytest.mark.parametrize('seconds, words', [(2, '10 seconds'), (38, '40 seconds'), (112, '110 seconds'), (116, '2 minutes'), (800, '13 minutes')])
def test_seconds_as_one_says_them(seconds, words): assert course.told(seconds) == f'about {words}'

def test_times_of_a_page(tmp_path):
    page = course_page()
    assert course.times_line(page) == 'Reading: about 1 minute.'
    page['cells'] += [dict(cell_type='markdown', id='w', source=['word '*2080])]
    (tmp_path/'pages.csv').write_text('page,seconds,cpu_s\n01_a,70,41.5\n')
    seconds = course.times(tmp_path/'pages.csv')
    assert course.times_line(page, seconds['01_a']) == 'Reading: about 11 minutes. Running: about 40 seconds of one core, no GPU.'
    page['cells'] += [dict(cell_type='code', id='s', source=['#| slow\n', '1'])]
    assert course.times_line(page).endswith('Slow cells have stored outputs.')
    page['cells'] += [dict(cell_type='markdown', id='t', source=['The cells of this page took an hour\n', 'and a half on one core.'])]
    assert course.times_line(page).endswith('took an hour and a half.')

def test_a_page_is_stamped_once():
    once = course.stamped(course_page(), '01_a', 40, 'https://github.com/someone/photos', 'main')
    assert [cell['id'] for cell in once['cells'][:4]] == ['m0', course.TOP, course.COLAB, 'c0']
    assert course.stamped(once, '01_a', 40, 'https://github.com/someone/photos', 'main') == once
    assert not list(course.faults(once, '01_a', '02_b'))
    assert [link for link in links(''.join(once['cells'][1]['source'])) if '01_a' in link] == [
        'https://colab.research.google.com/github/someone/photos/blob/main/nbs/tutorials/01_a.ipynb',
        'https://mybinder.org/v2/gh/someone/photos/main?labpath=nbs/tutorials/01_a.ipynb']

class Colab:
    "What stands in for IPython: notes what it is asked to do"
    def __init__(self): self.asked = []
    def run_line_magic(self, name, line): self.asked.append(f'%{name} {line}')
    def system(self, line): self.asked.append(f'!{line}')

@pytest.mark.parametrize('here, files, asked', [
    (False, True, []), (True, False, ['%pip install --quiet git+https://x/y']),
    (True, True, ['%pip install --quiet git+https://x/y', '!git clone --depth 1 https://x/y /content/repository', '%cd /content/repository/nbs/tutorials'])])
def test_the_first_cell_installs_in_colab_and_nowhere_else(here, files, asked, monkeypatch):
    if here: monkeypatch.setitem(sys.modules, 'google.colab', object())
    else: monkeypatch.delitem(sys.modules, 'google.colab', raising=False)
    ipython = Colab()
    exec(course.colab_code('https://x/y', files), dict(get_ipython=lambda: ipython))
    assert ipython.asked == asked

def test_every_page_of_the_course_installs_in_colab(monkeypatch):
    monkeypatch.setitem(sys.modules, 'google.colab', object())
    for name, _ in course.course_pages(check.ROOT/'nbs'):
        page = json.loads((check.ROOT/f'nbs/tutorials/{name}.ipynb').read_text(encoding='utf-8'))
        ipython, cell = Colab(), page['cells'][2]
        exec(''.join(cell['source']), dict(get_ipython=lambda: ipython))
        assert cell['id'] == course.COLAB and ipython.asked[0].startswith('%pip install') and get_config().git_url in ipython.asked[0]

