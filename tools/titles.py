"Finds what a page loses on the site because it stands in the cell of the title."
import re

TITLE = re.compile(r'^#\s+\S', re.MULTILINE)

def lost_lines(notebook):
    "A line for each line of the title's cell that nbdev drops: it keeps the title and the first line that starts with >"
    texts = (''.join(cell['source']) for cell in notebook['cells'] if cell['cell_type'] == 'markdown')
    lines = next((text.splitlines() for text in texts if TITLE.search(text)), [])
    for kept in (r'#\s+\S', r'>\s+\S'):
        found = next((line for line in lines if re.match(kept, line)), None)
        if found is not None: lines.remove(found)
    return [f'the site would not show this line of the first cell: {line}' for line in lines if line.strip()]
