"Stamps badges, times and an installing cell on each page of the course, and finds what a page of the course lacks."
import csv, json, re
from functools import cache
from pathlib import Path

import yaml
from nbdev.config import get_config

from links import listed
from slow import is_slow

TUTORIALS, GLOSSARY, TIMES = Path('nbs/tutorials'), '25_glossary', Path('benchmarks/pages.csv')
WORDS_A_MINUTE = 200
CHANGE = '# Change these, and run the page again'
CHANGED = {  # what a reader might change in the cell of settings; `make test-all` runs the pages with it
    '01_idea': 'photos, kinds = 5_000, 3',
    '02_you_or_network': 'per_kind, epochs, in_game = 60, 3, 10',
    '03_from_scratch': 'k, size, seeds = 5, 24, [0, 1]',
    '04_fastai': 'angles, k = (0, 180), 5',
    '05_by_hand': 'classes, labels = UPRIGHT[:4], 5',
    '06_few_labels': 'classes, labels = UPRIGHT[:4], 5',
    '07_what_it_learned': 'classes, labels, epochs = UPRIGHT[:4], 5, 2',
    '08_see_it_learn': 'per_kind, epochs = 60, 3',
    '09_all_turns': 'classes, size = UPRIGHT[:4], 24',
    '10_no_leak': 'angles, size = (0, 180), 32',
    '11_colour': 'things, size = UPRIGHT[:4], 24',
    '13_jpeg': 'qualities = 90, 40',
    '14_broken': 'labels, seed = 8, 1',
    '15_your_photos': 'LABELLED, UNLABELLED = 30, 100',
    '16_flowers': "sizes = {**sizes, 'size': 32}",
    '17_cifar10': 'budgets = [20, 400]',
    '18_cells': 'shifts, size = [0, 4], 24',
    '19_digits': "alike, passes = ['0', '8'], 3",
    '20_harm': "alike = {'ball': 4, 'hourglass': 2}",
    '21_ready_made': "many, few, shown = 5, 20, ['flowers']",
    '22_processes': "classes, bs = ['house', 'boat'], 16",
    '23_beyond': 'kinds, labels = UPRIGHT[:4], 5',
    '24_wrap_up': 'labels = 100'}
EVERYDAY = set('accuracy batch callback class cut domain double gpu gradient head label leak loss pass point rotnet self-supervised split '
               'step supervised test-set turn verdict weights'.split())  # in the glossary, and too common to be linked on each page
SECTIONS = ['What the numbers showed', 'Limits', 'Check yourself', 'Exercises', 'References']
FEWER = {'24_wrap_up': ['Check yourself', 'References']}  # sections of a page that measures nothing
QUESTIONS = {'24_wrap_up': range(3, 11)}  # three to five elsewhere
HEADING = re.compile(r'^## +(.+?) *$', re.MULTILINE)
QUESTION = re.compile(r'\*\*(\d+)\. .+\*\*')
CHOICE = re.compile(r'<details><summary>(.+?)</summary>(Yes|No): \S.*</details>')
MARKDOWN = re.compile(r'`|\*\*|\]\(|\$')
EXERCISE = re.compile(r'^\*\*(\d+)\.(?: |\*\*)', re.MULTILINE)
OPEN = re.compile(r'^::: \{\.callout-tip collapse="true" title="Solution (\d+)"\}$', re.MULTILINE)
TERM = re.compile(r'^### (.+?)(?: \{#([\w-]+)\})?$', re.MULTILINE)
NO_PROSE = re.compile(r'`[^`]*`|\[[^\]]*\]\([^)]*\)|\*\*[^*]*\*\*|<[^>]*>')
NO_LINE_OF_PROSE = re.compile(r'\s*(#|>|\||:::|<)')
TOOK = re.compile(r'\bcells\b[^.:]*? (?:took|take) ([^,.:]*?\b(?:seconds|minutes|hours?)(?: and a half)?)\b')
TOP, COLAB = 'course-top', 'course-colab'

def source(cell): return ''.join(cell['source'])
def texts(notebook, kind): return [source(c) for c in notebook['cells'] if c['cell_type'] == kind and c['id'] not in (TOP, COLAB)]

def course_pages(nbs=Path('nbs')):
    "(name, name of the page that follows in the sidebar) of each page of the course but the glossary"
    sidebar = yaml.safe_load((nbs/'sidebar.yml').read_text(encoding='utf-8'))
    names = [Path(p).stem for p in listed(sidebar['website']['sidebar']['contents']) if p.startswith('tutorials/')]
    return [(name, after) for name, after in zip(names, names[1:] + [None]) if name != GLOSSARY]

def reading_minutes(notebook):
    "About how long one reads, by the words of prose and of the code that is shown"
    shown = [text for text in texts(notebook, 'code') if not text.startswith('#| hide')]
    return max(1, round(sum(len(text.split()) for text in texts(notebook, 'markdown') + shown)/WORDS_A_MINUTE))

def told(seconds):
    "Seconds as one says them: in tens, from two minutes on in minutes"
    return f'about {round(seconds/60)} minutes' if seconds >= 115 else f'about {max(1, round(seconds/10))*10} seconds'

def times(file=TIMES):
    "Seconds of one core that each page took when it was measured"
    if not file.exists(): return {}
    with file.open(encoding='utf-8', newline='') as f: return {row['page']: float(row['cpu_s']) for row in csv.DictReader(f)}

def times_line(notebook, seconds=None):
    "How long a page takes to read and to run"
    minutes = reading_minutes(notebook)
    parts = [f'Reading: about {minutes} minute{"s"*(minutes > 1)}.']
    if seconds: parts.append(f'Running: {told(seconds)} of one core, no GPU.')
    if is_slow(notebook):
        took = TOOK.search(' '.join('\n'.join(texts(notebook, 'markdown')).split()))
        parts.append(f'Slow cells, whose outputs are stored, took {took[1]}.' if took else 'Slow cells have stored outputs.')
    return ' '.join(parts)

def badges(name, repository, branch):
    "Links that open a page in Colab and on Binder"
    path, place = f'{TUTORIALS.as_posix()}/{name}.ipynb', repository.removeprefix('https://github.com/')
    colab = f'https://colab.research.google.com/github/{place}/blob/{branch}/{path}'
    binder = f'https://mybinder.org/v2/gh/{place}/{branch}?labpath={path}'
    return (f'[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) '
            f'[![Open on Binder](https://mybinder.org/badge_logo.svg)]({binder})')

def colab_code(repository, files=False):
    "Code that installs the package in Colab, fetches the `files` of the repository if the page reads some, and does nothing elsewhere"
    lines = [f"get_ipython().run_line_magic('pip', 'install --quiet git+{repository}')"]
    if files: lines += [f"get_ipython().system('git clone --depth 1 {repository} /content/repository')",
                        f"get_ipython().run_line_magic('cd', '/content/repository/{TUTORIALS.as_posix()}')"]
    return '\n    '.join(["#| hide\nimport sys\nif 'google.colab' in sys.modules:", *lines])

def stamped(notebook, name, seconds, repository, branch):
    "A `notebook` with the two cells after its title"
    rest = [c for c in notebook['cells'] if c['id'] not in (TOP, COLAB)]
    files = any("'../" in text for text in texts(notebook, 'code'))
    top = dict(cell_type='markdown', id=TOP, metadata={}, source=f'{badges(name, repository, branch)}\n\n{times_line(notebook, seconds)}')
    colab = dict(cell_type='code', id=COLAB, metadata={}, execution_count=None, outputs=[], source=colab_code(repository, files))
    for cell in (top, colab): cell['source'] = cell['source'].splitlines(True)
    return {**notebook, 'cells': [*rest[:1], top, colab, *rest[1:]]}

def section_faults(notebook, name):
    "Sections that are missing or not in order"
    found, wanted = HEADING.findall('\n'.join(texts(notebook, 'markdown'))), FEWER.get(name, SECTIONS)
    yield from (f'no section "## {title}"' for title in wanted if title not in found)
    there = [title for title in found if title in wanted]
    if there != [title for title in wanted if title in there]: yield f'sections are not in this order: {", ".join(wanted)}'

def section_cells(notebook, title):
    "The markdown of a section, cell by cell, from its heading on"
    inside = False
    for text in texts(notebook, 'markdown'):
        for part in re.split(r'^(?=## )', text, flags=re.MULTILINE):
            heading = HEADING.match(part)
            if heading: inside = heading[1] == title
            if inside and part.strip(): yield HEADING.sub('', part, count=1).strip() if heading else part.strip()

def question_faults(text, n):
    "What is wrong with question `n` of a quiz"
    asked, _, choices = text.partition('\n\n')
    number, lines = QUESTION.fullmatch(asked.strip()), choices.strip().splitlines()
    if not number or int(number[1]) != n: yield f'question {n} does not start with a line **{n}. ...** and an empty line'
    found = [CHOICE.fullmatch(line) for line in lines]
    if not all(found): yield f'a choice of question {n} is not one line <details><summary>...</summary>Yes: or No: ...</details>'
    if len(lines) not in (3, 4): yield f'question {n} has {len(lines)} choices, not three or four'
    right = sum(m[2] == 'Yes' for m in found if m)
    if right != 1: yield f'question {n} has {right} choices that start with "Yes:", not one'
    if any(map(MARKDOWN.search, lines)): yield f'a choice of question {n} has markdown, which stays raw there'

def quiz_faults(notebook, name):
    "What is wrong with the quiz of a page"
    questions = [text for text in section_cells(notebook, 'Check yourself') if text.startswith('**')]
    allowed = QUESTIONS.get(name, range(3, 6))
    if len(questions) not in allowed: yield f'{len(questions)} questions, not {allowed[0]} to {allowed[-1]}'
    for n, text in enumerate(questions, 1): yield from question_faults(text, n)

def exercise_faults(notebook, name):
    "What is wrong with the exercises of a page and their solutions"
    if 'Exercises' not in FEWER.get(name, SECTIONS): return
    text = '\n'.join(section_cells(notebook, 'Exercises'))
    numbers, solved = ([int(n) for n in pattern.findall(text)] for pattern in (EXERCISE, OPEN))
    if not 2 <= len(numbers) <= 4 or numbers != [*range(1, len(numbers) + 1)]: yield f'exercises {numbers}, not 1 to 2, 3 or 4'
    if solved != numbers: yield f'exercises {numbers}, but solutions {solved}'
    marks = re.findall(r'^:::(?:$| )', text, re.MULTILINE)
    if marks != ['::: ', ':::']*len(solved): yield 'a folded solution is not closed by a line :::, or opened in another way'
    all_cells = [source(c) for c in notebook['cells']]
    start = next((i for i, text in enumerate(all_cells) if '## Exercises' in text.splitlines()), 0)
    answers = sum(text.startswith('#| notest') for text in all_cells[start:])
    if answers != len(numbers): yield f'{len(numbers)} exercises, but {answers} cells with #| notest for an answer'

def settings_faults(notebook, name):
    "A missing cell of settings"
    found = any(CHANGE in text.splitlines() for text in texts(notebook, 'code'))
    if name not in FEWER and not found: yield f'no cell of settings with the line {CHANGE}'

@cache
def terms():
    "The terms of the glossary, each with its anchor"
    page = json.loads((Path(__file__).parent.parent/TUTORIALS/f'{GLOSSARY}.ipynb').read_text(encoding='utf-8'))
    found = [m for text in texts(page, 'markdown') for m in TERM.finditer(text)]
    return {m[1]: m[2] or re.sub(r'[^\w -]', '', m[1].lower()).strip().replace(' ', '-') for m in found}

def glossary_faults(notebook, name):
    "Terms of the glossary that the page uses and does not link"
    prose = '\n'.join(texts(notebook, 'markdown')).split('\n## References')[0]
    linked = re.findall(rf'{GLOSSARY}\.ipynb#([\w-]+)\)', prose)
    plain = '\n'.join(NO_PROSE.sub('', line) for line in prose.splitlines() if not NO_LINE_OF_PROSE.match(line))
    for term, anchor in terms().items():
        if anchor in EVERYDAY or any(anchor in other for other in linked): continue
        if re.search(rf'(?<![\w-]){re.escape(term)}(?:s|es)?(?![\w-])', plain, re.IGNORECASE):
            yield f'"{term}" has no link to {GLOSSARY}.ipynb#{anchor}'

def next_faults(notebook, after):
    "The last cell leads to the page `after`"
    if not re.fullmatch(rf'\[Next: [^\]]+\]\({after}\.ipynb\)', source(notebook['cells'][-1]).strip()):
        yield f'the last cell is not [Next: ...]({after}.ipynb)'

def faults(notebook, name, after):
    "A line for each thing that the page `name` lacks as a page of the course"
    for find in (section_faults, quiz_faults, exercise_faults, settings_faults, glossary_faults): yield from find(notebook, name)
    yield from next_faults(notebook, after)

def with_change(notebook, line):
    "A `notebook` whose cell of settings ends in another `line`"
    if not any(CHANGE in source(c).splitlines() for c in notebook['cells']): raise ValueError(f'no cell has the line {CHANGE}')
    cells = [{**c, 'source': [*c['source'], f'\n{line}']} if CHANGE in source(c).splitlines() else c for c in notebook['cells']]
    return {**notebook, 'cells': cells}

def twice(notebook):
    "A `notebook` whose cells of code stand twice, the second right after the first"
    again = [{**c, 'id': f'{c["id"]}-2'} for c in notebook['cells']]
    pairs = [[c, a] if c['cell_type'] == 'code' else [c] for c, a in zip(notebook['cells'], again)]
    return {**notebook, 'cells': [c for pair in pairs for c in pair]}

def notebook_text(notebook): return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + '\n'

def stamp():
    "Stamp every page of the course; its file changes only if the cells do"
    config, seconds = get_config(), times()
    for name, _ in course_pages():
        page = TUTORIALS/f'{name}.ipynb'
        notebook = json.loads(page.read_text(encoding='utf-8'))
        new = stamped(notebook, name, seconds.get(name), config.git_url, config.branch)
        if new != notebook: page.write_text(notebook_text(new), encoding='utf-8')

if __name__ == '__main__': stamp()
