"Finds what of a page some readers could not see or read; for pages as they are in nbs or in _proc."
import json, re, sys
from collections import Counter
from pathlib import Path

from links import FENCE
from shown import WIDTH, tidy_tables

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 1_500_000
HIDDEN = re.compile(r'^#\|\s*(hide|export|exporti|default_exp|include:\s*false)\b', re.MULTILINE)
DIRECTIVE = re.compile(r'^#\|.*\n?', re.MULTILINE)
SILENT = {kind: re.compile(rf'^#\|\s*{kind}:\s*false', re.MULTILINE) for kind in ('echo', 'output')}
ALT = re.compile(r'^#\|\s*fig-alt:\s*\S', re.MULTILINE)
BLOCK = re.compile(FENCE, re.DOTALL | re.MULTILINE)
IMAGE = re.compile(r'!\[\s*\]\([^)]*\)|<img\b(?![^>]*\balt=["\'][^"\'])[^>]*>')
HEADING = re.compile(r'^(#{1,6})\s+(\S.*)$', re.MULTILINE)
ROW = re.compile(r'^\|(.+)\|[ ]*\n\|[-:| ]+\|', re.MULTILINE)
TITLE = re.compile(r'"title: ([^"]+)\\n"')
SCRIPT = re.compile(r'<script\b.*?</script>', re.DOTALL) # What it makes is not there yet
NO_HEADER = re.compile(r'<th\b[^>]*>(?:\s|&nbsp;)*</th>')

def width_of(page):
    "Characters of a line of code: pages of the course fit beside sidebar and contents, all others are wrapped there"
    return WIDTH if page.startswith('tutorials/') else 120

def markdown_faults(text, width):
    "A line for each picture without a text, header cell without words and code too wide"
    prose = BLOCK.sub('', text)
    for found in IMAGE.findall(prose): yield f'a picture has no alt text: {found[:60]}'
    for row in ROW.findall(prose):
        if not all(part.strip() for part in row.split('|')): yield f'a table has an empty header: |{row}|'
    for line in ''.join(BLOCK.findall(text)).splitlines():
        if len(line) > width: yield f'a line of code has {len(line)} characters, of which {width} fit: {line.strip()[:40]}'

def output_faults(output, has_alt, width):
    "A line for each fault of what a cell shows"
    data = output.get('data', {})
    if not has_alt and any(kind.startswith('image/') for kind in data): yield 'a picture has no alt text: add #| fig-alt: "..."'
    html = SCRIPT.sub('', ''.join(data.get('text/html', '')))
    if IMAGE.search(html): yield 'a picture has no alt text'
    if NO_HEADER.search(html): yield 'a table has an empty header'
    yield from markdown_faults(''.join(data.get('text/markdown', '')), width)

def code_faults(source, outputs, width):
    "A line for each fault of a cell of code that is shown"
    lines = [] if SILENT['echo'].search(source) else DIRECTIVE.sub('', source).splitlines()
    for line in lines:
        if len(line) > width: yield f'a line of code has {len(line)} characters, of which {width} fit: {line.strip()[:40]}'
    for output in [] if SILENT['output'].search(source) else outputs: yield from output_faults(output, ALT.search(source), width)

def shown_markdown(cell):
    "Markdown that a cell shows, as its own or as an output"
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown': return source
    if HIDDEN.search(source) or SILENT['output'].search(source): return ''
    return '\n\n'.join(''.join(o.get('data', {}).get('text/markdown', '')) for o in cell.get('outputs', []))

def heading_faults(cells):
    "A line for each second title, and each heading more than one level below the one before; the title has level 1"
    level, titles = 1, [cell for cell in cells if cell['cell_type'] == 'raw'][:1]
    for marks, words in HEADING.findall('\n\n'.join(BLOCK.sub('', shown_markdown(cell)) for cell in cells)):
        if len(marks) > level + 1: yield f'a heading skips a level: {marks} {words}'
        if len(marks) == 1 and titles: yield f'a second title: {words}'
        level, titles = len(marks), titles + [words]*(len(marks) == 1)

def faults(notebook, width):
    "A line for each fault of a page"
    for cell in notebook['cells']:
        source = ''.join(cell['source'])
        found = []
        if cell['cell_type'] == 'markdown': found = markdown_faults(source, width)
        elif cell['cell_type'] == 'code' and not HIDDEN.search(source): found = code_faults(source, cell.get('outputs', []), width)
        yield from (f'cell {cell.get("id", "")}: {line}' for line in found)
    yield from heading_faults(notebook['cells'])

def page_faults(text, page):
    "A line for each fault of a notebook, `text`, whose name on the site is `page`"
    if len(text) > MOST_BYTES: yield f'{page}: the page has {len(text)/1e6:.1f} MB, more than {MOST_BYTES/1e6:.1f}'
    yield from (f'{page}: {line}' for line in faults(json.loads(text), width_of(page)))

def same_titles(texts):
    "A line for each title that several of the pages in `texts` have"
    titles = {page: found[1] for page, text in texts.items() if (found := TITLE.search(text))}
    for title, n in Counter(titles.values()).items():
        if n > 1: yield f'{n} pages have the title {title}: {", ".join(page for page in titles if titles[page] == title)}'

def unreadable(site):
    "A line for each fault of the pages in `site`"
    texts = {path.relative_to(site).as_posix(): path.read_text(encoding='utf-8') for path in sorted(site.rglob('*.ipynb'))}
    yield from same_titles(texts)
    for page, text in texts.items():
        yield from page_faults(text, page)

def tidied(text):
    "A notebook as the site shows its tables"
    notebook = json.loads(text)
    for cell in notebook['cells']: tidy_tables(cell)
    return json.dumps(notebook, ensure_ascii=False)

def main():
    "Say what is to be mended in the notebooks that are named"
    paths = [Path(name).resolve() for name in sys.argv[1:]]
    found = [line for p in paths for line in page_faults(tidied(p.read_text(encoding='utf-8')), p.relative_to(ROOT/'nbs').as_posix())]
    sys.exit('\n'.join(found))

if __name__ == '__main__': main()
