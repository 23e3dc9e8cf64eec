"Finds what a stored output of a notebook should not hold."
import re

UNWANTED = {
    'a progress bar': re.compile(r'\r(?!\n)|█|<progress|jupyter\.widget-view|\d%\|'),
    'a warning': re.compile(r'\b\w*Warning:'),
    'a memory address': re.compile(r'\b0x[0-9a-fA-F]{6,}'),
    'a path of the machine': re.compile(
        r'(?<![\w.:/~<-])/(?:content|data|home|kaggle|media|mnt|opt|private|root|srv|tmp|usr|var|work|workspace|Users|Volumes)/'
        r'|[A-Z]:\\Users|site-packages'),
}

def output_text(output):
    "All text of an output, with the kinds of its data and without its pictures"
    parts = [output.get('text', '')]
    for kind, content in output.get('data', {}).items():
        if not kind.startswith('image/'): parts += [kind, content if isinstance(content, (str, list)) else str(content)]
    return '\n'.join(''.join(part) for part in parts)

def unwanted(output):
    "What `output` holds that it should not"
    if output['output_type'] == 'error': return ['an error']
    if output.get('name') == 'stderr': return ['text from stderr']
    text = output_text(output)
    return [what for what, pattern in UNWANTED.items() if pattern.search(text)]

def complaints(notebook):
    "A line for each unwanted thing in the outputs of a `notebook`"
    for cell in notebook['cells']:
        for output in cell.get('outputs', []):
            for what in unwanted(output): yield f'cell {cell["id"]} stores {what}'
