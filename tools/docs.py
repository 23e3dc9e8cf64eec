"Makes the documentation's pages up to Quarto's part, into _proc, and stops if a link leads nowhere."
import sys

from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

from links import problems

if __name__ == '__main__':
    refresh_quarto_yml()
    nbdev_sidebar.__wrapped__()
    found = list(problems(proc_nbs(n_workers=2, force=True)))
    if found: sys.exit('\n'.join(found))
