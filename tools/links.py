"Finds the links of the documentation's pages and those that lead nowhere."
import json, posixpath, re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from nbdev.config import get_config, nbpath2html

FENCE = r'^[ ]*```.*?^[ ]*```'
CODE = re.compile(rf'({FENCE}|`[^`\n]*`)', re.DOTALL | re.MULTILINE)
LINK = re.compile(r'''(\]\(|\b(?:src|href)=["']|^\[[^\]\n]+\]:[ ]*)([^)\s"']+)''', re.MULTILINE)
HEADING = re.compile(r'^#{1,6}[ ]+(.+?)[ ]*(?:\{[^}\n]*\})?[ ]*$', re.MULTILINE)
ID = re.compile(r'''\{#([\w.:-]+)|\b(?:id|name)=["']([^"']+)''')

def map_links(text, f):
    "Markdown `text` with `f` applied to the target of each link outside code"
    parts = CODE.split(text)
    parts[::2] = [LINK.sub(lambda m: m[1] + f(m[2]), part) for part in parts[::2]]
    return ''.join(parts)

def links(text):
    "The targets of the links in markdown `text`"
    found = []
    map_links(text, lambda target: found.append(target) or target)
    return found

def slug(heading):
    "The anchor that Pandoc gives a heading"
    words = re.sub(r'\]\([^)]*\)', '', heading).lower()
    words = re.sub(r'[^\w\s.-]', '', words).split()
    return re.sub(r'^[^a-z]+', '', '-'.join(words)) or 'section'

def anchors(text):
    "The anchors of a page of markdown `text`"
    prose = re.sub(FENCE, '', text, flags=re.DOTALL | re.MULTILINE)
    found = {a or b for a, b in ID.findall(prose)}
    for anchor in map(slug, HEADING.findall(prose)):
        repeats = [anchor, *(f'{anchor}-{n}' for n in range(1, 100))]
        found.add(next(a for a in repeats if a not in found))
    return found

def page_text(path):
    "The markdown and HTML of a processed page, outputs included"
    if path.suffix != '.ipynb': return path.read_text(encoding='utf-8')
    parts = []
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        if cell['cell_type'] == 'markdown': parts.append(cell['source'])
        for output in cell.get('outputs', []):
            parts += [output.get('data', {}).get(kind, '') for kind in ('text/markdown', 'text/html')]
    return '\n\n'.join(''.join(part) for part in parts)

def html_name(path):
    "The page that Quarto renders from `path`, both relative to the site"
    return nbpath2html(path).as_posix() if path.suffix == '.ipynb' else path.with_suffix('.html').as_posix()

def leads_nowhere(target, page, site, pages, doc_url):
    "Whether `target`, a link on `page`, is internal and names no page, anchor or file; `pages` holds each page's anchors"
    if target.startswith(doc_url): target = '/' + target[len(doc_url):].lstrip('/')
    url = urlsplit(target)
    if url.scheme or url.netloc: return False
    path = Path(posixpath.normpath(posixpath.join('/', page.parent.as_posix(), unquote(url.path) or page.name)).lstrip('/') or 'index.html')
    if path.suffix == '.html': name = path.as_posix()
    elif (site/path).is_file(): name = html_name(path)
    else: return True
    if name in pages: return bool(url.fragment) and url.fragment not in pages[name]
    return not (site/path).is_file()

def listed(contents):
    "The pages that a sidebar's `contents` list, sections included"
    for item in contents:
        if isinstance(item, str): yield item
        else:
            if 'href' in item: yield item['href']
            yield from listed(item.get('contents') or [])

def problems(site):
    "A line for each link of the processed pages in `site` that leads nowhere, and each page that the sidebar lacks"
    doc_url = get_config().doc_url
    texts = {p.relative_to(site): page_text(p) for p in sorted(site.rglob('*')) if p.suffix in ('.ipynb', '.qmd', '.md')}
    pages = {html_name(page): anchors(text) for page, text in texts.items()}
    for page, text in texts.items():
        for target in links(text):
            if leads_nowhere(target, page, site, pages, doc_url): yield f'{page.as_posix()}: a link leads nowhere: {target}'
    sidebar = yaml.safe_load((site/'sidebar.yml').read_text(encoding='utf-8'))
    in_sidebar, in_site = set(listed(sidebar['website']['sidebar']['contents'])), {p.as_posix() for p in texts}
    for page in sorted(in_site - in_sidebar - {'404.qmd'}): yield f'nbs/sidebar.yml does not list {page}'
    for page in sorted(in_sidebar - in_site): yield f'nbs/sidebar.yml lists {page}, which is not there'
