"Makes the documentation's pages up to Quarto's part, into _proc; stops if a link leads nowhere, or if a page shows something wrongly or not to all."
import sys

from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
from nbdev.serve import proc_nbs

from links import problems
from readable import unreadable
from rendering import misshown

if __name__ == '__main__':
    refresh_quarto_yml()
    nbdev_sidebar.__wrapped__()
    site = proc_nbs(n_workers=2, force=True)
    found = [*problems(site), *misshown(site), *unreadable(site)]
    if found: sys.exit('\n'.join(found))
