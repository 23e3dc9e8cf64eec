"Hands settings.ini to setuptools."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

def text(name): return (Path(__file__).parent/name).read_text(encoding='utf-8')

config = ConfigParser(delimiters=('=',), interpolation=None)
config.read_string(text('settings.ini'))
cfg = config['DEFAULT']
repository = re.search('^Repository = "https://github.com/(.*)"', text('pyproject.toml'), re.MULTILINE)[1]
pictures = f"https://raw.githubusercontent.com/{repository}/v{cfg['version']}/nbs/"

setup(
    version=cfg['version'],
    author=cfg['author'],
    license_expression=cfg['license'],
    license_files=['LICENSE'],
    classifiers=cfg['classifiers'].strip().splitlines(),
    keywords=cfg['keywords'].split(),
    install_requires=cfg['requirements'].split(),
    extras_require={extra: cfg[f'{extra}_requirements'].split()
                    for extra in ('timm', 'heic', 'onnx', 'processes', 'tensorboard', 'wandb', 'dev')},
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': ['selfsup=selfsup._modidx:d']},
    packages=find_packages(include=['selfsup', 'selfsup.*']),
    package_data={'selfsup': ['py.typed']},
    long_description=text('README.md').replace('src="nbs/', f'src="{pictures}'),  # PyPI has no pictures of its own
    long_description_content_type='text/markdown',
    zip_safe=False,
)
