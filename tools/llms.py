"Makes nbs/llms.txt, an overview for language models: the pages of the site, and every public name with one line."
import ast, json, re
from pathlib import Path

import yaml
from nbdev.config import get_config
from nbdev.readme_filter import doc_link

OUT = Path('nbs/llms.txt')

def title_of(notebook):
    "(title, the line after it) of a page"
    text = next(''.join(c['source']) for c in notebook['cells'] if c['cell_type'] == 'markdown')
    title, = re.findall(r'^# (.+)', text, re.MULTILINE)
    said = re.findall(r'^> (.+)', text, re.MULTILINE)
    return title.strip(), said[0].strip() if said else ''

def pages(contents):
    "Path of each page below `contents` of the sidebar, with the section that it stands in"
    for entry in contents:
        if isinstance(entry, str): yield None, entry
        else: yield from ((entry['section'], page) for _, page in pages(entry['contents']))

def first_line(node):
    doc = ast.get_docstring(node)
    return doc.splitlines()[0] if doc else ''

def public(module):
    "A line for each public name of a module that has a docstring"
    body = ast.parse(module.read_text(encoding='utf-8')).body
    listed = next((o.value for o in body if isinstance(o, ast.Assign) and o.targets[0].id == '__all__'), None)
    names = ast.literal_eval(listed) if listed else []
    defined = {o.name: o for o in body if isinstance(o, (ast.FunctionDef, ast.ClassDef))}
    return [f'- `{name}`: {first_line(defined[name])}' for name in names if name in defined and first_line(defined[name])]

def overview():
    "The whole text"
    doc_url, lines = get_config().doc_host.rstrip('/') + get_config().doc_baseurl.rstrip('/'), ['']
    site = yaml.safe_load(Path('nbs/sidebar.yml').read_text())['website']['sidebar']['contents']
    last = None
    for section, page in pages(site):
        if section != last: lines += ['', f'## {section or "More"}', '']
        last = section
        title, said = title_of(json.loads((Path('nbs')/page).read_text(encoding='utf-8')))
        lines.append(f'- [{title}]({doc_link(page, doc_url)})' + f': {said}'*bool(said))
    lines += ['', '## API', '', 'All names: `from selfsup.all import *`; parameters: `help(name)`.']
    for module in sorted(Path('selfsup').rglob('*.py')):
        found = public(module)
        if found: lines += ['', f"### {'.'.join(module.with_suffix('').parts)}", '', *found]
    return '\n'.join(['# selfsup', '', f'> {get_config().description}', *lines]) + '\n'

if __name__ == '__main__': OUT.write_text(overview(), encoding='utf-8')
