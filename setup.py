"Hands settings.ini to setuptools."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

config = ConfigParser(delimiters=('=',), interpolation=None)
config.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

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
    long_description=(Path(__file__).parent/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    zip_safe=False,
)
