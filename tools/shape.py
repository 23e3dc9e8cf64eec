"Prints the shape of the package: modules and their lines, long lines and functions, and which package imports which."
import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent/'selfsup'

def package(file):
    "Of a module; those at the top have none"
    return file.parent.name if file.parent != ROOT else 'top'

def imported(file, tree):
    "Packages that a module imports from"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level: continue
        base = [file.parent, *file.parents[1:]][node.level - 1]
        target = base.joinpath(*(node.module or '').split('.'))
        yield target.relative_to(ROOT).parts[0] if (target.parent != ROOT or target.is_dir()) else 'top'

def functions(file, tree):
    "Name and number of lines of each function"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef): yield node.end_lineno - node.lineno + 1, f'{file.relative_to(ROOT)}: {node.name}'

def main():
    "Print it"
    files = [f for f in sorted(ROOT.rglob('*.py')) if f.name not in ('_modidx.py', 'all.py', '__init__.py')]
    lines = {f: f.read_text(encoding='utf-8').splitlines() for f in files}
    trees = {f: ast.parse('\n'.join(ls)) for f, ls in lines.items()}
    longest = sorted(((len(ls), str(f.relative_to(ROOT))) for f, ls in lines.items()), reverse=True)
    code = [l for ls in lines.values() for l in ls if l.strip()]
    print(f'{len(files)} modules, {sum(map(len, lines.values())):,} lines')
    print('longest modules:', ', '.join(f'{name} {n}' for n, name in longest[:5]))
    print(f'lines over 120: {sum(len(l) > 120 for l in code)} of {len(code):,}; over 150: {sum(len(l) > 150 for l in code)}')
    long = sorted(((n, name) for f, t in trees.items() for n, name in functions(f, t) if n > 20), reverse=True)
    print(f'functions of more than 20 lines: {len(long)};', ', '.join(f'{name} {n}' for n, name in long[:5]))
    arrows = Counter((package(f), to) for f, t in trees.items() for to in imported(f, t) if to != package(f))
    for (a, b), n in sorted(arrows.items()): print(f'{a} -> {b}: {n} imports')
    both = [a for a, b in arrows if (b, a) in arrows and 'top' not in (a, b)]
    print('circles:', ', '.join(sorted(both)) or 'none')

if __name__ == '__main__': main()
