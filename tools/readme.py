"Makes README.md, and its pictures in nbs/images/readme, from nbs/index.ipynb."
import posixpath, re, shutil
from base64 import b64decode
from pathlib import Path
from urllib.parse import urlsplit

from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.process import NBProcessor
from nbdev.processors import clean_magics, hide_line, rm_export, strip_ansi
from nbdev.readme_filter import doc_link

from links import map_links
from shown import tidy_tables

PICTURES = Path('nbs/images/readme')
NOTICE = '<!-- Made from nbs/index.ipynb by `make prepare`: edit the notebook, not this file. -->'

def readme_link(target, doc_url):
    "A link's `target` in nbs/index.ipynb as README.md needs it: pages lead to the site, files to their place under nbs"
    if urlsplit(target).scheme or target.startswith('#'): return target
    hosted = doc_link(target, doc_url)
    return hosted if hosted != target else posixpath.normpath(posixpath.join('nbs', target))

def fenced(text, lang=''): return f'```{lang}\n{text.rstrip()}\n```'

def picture(name, data, size, caption):
    "Writes a PNG and shows it"
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES/f'{name}.png'
    file.write_bytes(b64decode(data))
    width = f' width="{size["width"]}"' if 'width' in size else ''
    return f'<img src="{file.as_posix()}" alt="{caption}"{width}>'

def output_md(output, name, directives):
    "One output of a cell as markdown"
    if output['output_type'] == 'stream':
        text = ''.join(output['text'])
        return text if directives.get('output') == 'asis' else fenced(text)
    data, caption = output['data'], directives.get('fig-alt', directives.get('fig-cap', '')).strip('"\'')
    if 'text/markdown' in data: return ''.join(data['text/markdown'])
    if 'image/png' in data: return picture(name, data['image/png'], output['metadata'].get('image/png', {}), caption)
    if 'text/html' in data: return re.sub(r'<style.*?</style>\s*', '', ''.join(data['text/html']), flags=re.DOTALL)
    return fenced(''.join(data['text/plain']))

def cell_md(cell, lookup, doc_url):
    "A cell of the notebook as paragraphs of markdown"
    if cell.cell_type == 'markdown': return [map_links(lookup.linkify(cell.source), lambda target: readme_link(target, doc_url))]
    if cell.cell_type != 'code' or cell.directives_.get('include') == 'false': return []
    shown = cell.source.strip() and cell.directives_.get('echo') != 'false'
    paragraphs = [fenced(cell.source, 'python')] if shown else []
    if cell.directives_.get('output') == 'false': return paragraphs
    return paragraphs + [output_md(o, f'{cell.id}-{i}', cell.directives_) for i, o in enumerate(cell.get('outputs', []))]

def readme():
    "The text of README.md; its pictures are written on the way"
    config = get_config()
    lookup = NbdevLookup(incl_libs=config.lib_name)
    shutil.rmtree(PICTURES, ignore_errors=True)
    processor = NBProcessor(config.nbs_path/config.readme_nb, procs=[hide_line, rm_export, clean_magics, strip_ansi, tidy_tables])
    processor.process()
    paragraphs = [p.strip() for cell in processor.nb.cells for p in cell_md(cell, lookup, config.doc_url)]
    return '\n\n'.join([NOTICE, *filter(None, paragraphs)]) + '\n'

if __name__ == '__main__': Path('README.md').write_text(readme(), encoding='utf-8')
