"Finds what the site would show otherwise than the page means it."
import json, re

import yaml
from nbdev.config import get_config

from links import CODE, FENCE, html_name, page_text

LINK = r'\[[^\[\]\n]*\]\([^()\n]*\)'
NESTED = re.compile(rf'(?<!!)\[[^\[\]\n]*(?<!!){LINK}[^\[\]\n]*\]\([^()\n]*\)')
NAME = re.compile(r"(?:([\w-]+)'s )?\[`([\w.]+)(?:\(\))?`\]\(([^()\s]+)\)")
OTHERS = {'fastai', 'fastcore', 'Matplotlib', 'NumPy', 'pandas', 'Pillow', 'Python', 'PyTorch', 'scikit-learn', 'Scikit-learn',
          'SciPy', 'timm', 'torchvision'}
COMMENT = re.compile(r'<!--.*?-->', re.DOTALL)
INDENTED = re.compile(r'^ {4}.*$', re.MULTILINE)
DASHES = re.compile(r'[^\s|]*(?<!-)--(?!-)[^\s|]*\w[^\s|]*')

def page_code(path):
    "The code of a processed page"
    if path.suffix != '.ipynb': return ''
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code')

def unfenced(text): return re.sub(FENCE, '', text, flags=re.DOTALL | re.MULTILINE)

def nested_links(text):
    "A line for each link in the text of a link; nbdev makes a link of every name in backticks that it knows"
    for m in NESTED.finditer(unfenced(text)): yield f'a link inside a link shows as raw markdown (write the name alone, it is linked anyway): {m[0]}'

def mistaken_names(text, code, page, doc_url):
    "A line for each name that is linked to ours but is another library's, or a method in the `code` of another `page` than ours"
    methods = set(re.findall(r'\.(\w+)\(', code))
    for owner, name, target in NAME.findall(unfenced(text)):
        if not target.startswith(doc_url): continue
        at_home = target[len(doc_url):].lstrip('/').partition('#')[0] == page
        if owner in OTHERS: yield f"{owner}'s `{name}` is linked to {target}; write whose it is inside the backticks: `Image.rotate`"
        elif name in methods and not at_home: yield f'`{name}`, a method on this page, is linked to {target}; write its class too: `Contest.finetune`'

def lost_dashes(text):
    "A line for each word outside code with a -- of which smart punctuation makes a dash"
    prose = ' '.join(CODE.split(COMMENT.sub('', text))[::2])
    for word in DASHES.findall(INDENTED.sub('', prose)): yield f'smart punctuation makes a dash of -- in {word} (nbs/_quarto.yml can turn it off)'

def misshown(site):
    "A line for each thing on the processed pages in `site` that they would show otherwise than it was meant"
    doc_url = get_config().doc_url
    smart = not yaml.safe_load((site/'_quarto.yml').read_text(encoding='utf-8')).get('from', '').endswith('-smart')
    for path in sorted(p for p in site.rglob('*') if p.suffix in ('.ipynb', '.qmd', '.md')):
        page, text = path.relative_to(site), page_text(path)
        found = [*nested_links(text), *mistaken_names(text, page_code(path), html_name(page), doc_url), *(lost_dashes(text) if smart else [])]
        yield from (f'{page.as_posix()}: {line}' for line in found)
