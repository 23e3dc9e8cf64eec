"Where something was measured, and with what: columns for a CSV."
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

def _cpu():
    "Name of the processor, as far as the system tells"
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(':')[1].strip() for line in lines if line.startswith('model name')), platform.processor())

def machine():
    "Processor, cores, threads, versions, and the day"
    versions = {name: version(name) for name in ('torch', 'torchvision', 'fastai', 'pillow')}
    return dict(cpu=_cpu(), cores=os.cpu_count(), threads=torch.get_num_threads(), python=platform.python_version(),
                **versions, date=date.today().isoformat())
