"Hides from Python what an installed wheel does not require."
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BLOCKER = '''"Finds only what {name} requires."
import sys
from importlib.machinery import PathFinder

HIDDEN = {hidden}

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition('.')[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
'''

def required(distribution, extras=('',), found=None):
    "The names of a distribution and of all that it requires"
    found = set() if found is None else found
    key = canonicalize_name(distribution.metadata['Name']), *sorted(extras)
    if key not in found:
        found.add(key)
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker and not any(requirement.marker.evaluate({'extra': extra}) for extra in extras): continue
            required(metadata.distribution(requirement.name), ('', *requirement.extras), found)
    return {name for name, *_ in found}

def hide_the_rest(folder, distribution):
    "Write a sitecustomize module into `folder` that hides each installed module that `distribution` does not require"
    names = required(distribution)
    hidden = {module for module, owners in metadata.packages_distributions().items()
              if not names.intersection(map(canonicalize_name, owners))} - set(sys.stdlib_module_names)
    (folder/'sitecustomize.py').write_text(BLOCKER.format(name=distribution.metadata['Name'], hidden=hidden), encoding='utf-8')
