"""How long the command takes to answer, beside a Python that does nothing, in turns.

    python benchmarks/startup.py [ROUNDS]
"""
import os
import statistics
import subprocess
import sys
import time

SELFSUP = 'from selfsup.cli import main; main()'
COMMANDS = {'python -c pass': ['pass'], 'import selfsup': ['import selfsup'], 'selfsup --version': [SELFSUP, '--version'],
            'selfsup --help': [SELFSUP, '--help'], 'selfsup compare --help': [SELFSUP, 'compare', '--help'],
            'selfsup compare --lables': [SELFSUP, 'compare', '--lables']}

def seconds(args):
    "(wall, CPU) of one run"
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, '-c', *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = os.wait4(process.pid, 0)[2]
    return time.perf_counter() - start, used.ru_utime + used.ru_stime

def shown(xs): return f'{statistics.median(xs):.3f} ({min(xs):.3f} to {max(xs):.3f})'

def main(rounds=20):
    before, found = os.getloadavg()[0], {name: [] for name in COMMANDS}
    for _ in range(int(rounds)):
        for name, args in COMMANDS.items(): found[name].append(seconds(args))
    print(f'{os.cpu_count()} cores; load average {before:.2f} before, {os.getloadavg()[0]:.2f} after; {rounds} rounds; median (range)')
    for name, pairs in found.items():
        wall, cpu = zip(*pairs)
        print(f'  {name:25} {shown(wall)} s, CPU {shown(cpu)} s')

if __name__ == '__main__': main(*sys.argv[1:])
