"""Training steps of the small encoder under several settings of OpenMP, alone and beside one busy process, in turns.

    python benchmarks/busy.py [ROUNDS] [SECONDS]

OpenMP's threads spin while they wait for each other. Where another process holds one of the cores, a thread waits long,
and spins away the time that the other one needs. The settings must be in the environment before PyTorch is loaded,
so each has a process of its own; all of them are asked once a round, SECONDS each time. Ratios are of the same round.
"""
import os
import statistics
import subprocess
import sys
import time

SETTINGS = {'as it is': {}, 'OMP_WAIT_POLICY=PASSIVE': {'OMP_WAIT_POLICY': 'PASSIVE'}, 'GOMP_SPINCOUNT=0': {'GOMP_SPINCOUNT': '0'},
            'OMP_NUM_THREADS=1': {'OMP_NUM_THREADS': '1'}}

def steps(views=128):
    "Train on `views` pictures of 32 pixels whenever a number of seconds is asked for; print views a second"
    import torch
    from selfsup.models.encoder import create_encoder, n_features
    from selfsup.models.heads import has_bf16, linear_head
    encoder = create_encoder('small')
    model = torch.nn.Sequential(encoder, linear_head(n_features(encoder), 4)).to(memory_format=torch.channels_last)
    x, y = torch.rand(views, 3, 32, 32), torch.arange(views) % 4
    opt = torch.optim.AdamW(model.parameters())
    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled=has_bf16(x.device)): loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
    for _ in range(5): step()
    print(torch.get_num_threads(), flush=True)
    for line in sys.stdin:
        n, start = 0, time.perf_counter()
        while time.perf_counter() < start + float(line): step(); n += 1
        print(views*n/(time.perf_counter() - start), flush=True)

def start(setting):
    "A process with `setting` and no other setting of OpenMP"
    env = {k: v for k, v in os.environ.items() if not k.startswith(('OMP_', 'GOMP_', 'KMP_'))}
    return subprocess.Popen([sys.executable, __file__, 'steps'], env=env | setting, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

def ask(process, seconds):
    "Views a second"
    print(seconds, file=process.stdin, flush=True)
    return float(process.stdout.readline())

def measure(processes, rounds, seconds):
    "{(setting, busy): views a second, one a round}; another setting goes first in each round"
    found, names = {(name, busy): [] for name in processes for busy in (False, True)}, list(processes)
    for _ in range(rounds):
        names = names[1:] + names[:1]
        for busy in (False, True):
            other = subprocess.Popen([sys.executable, '-c', 'while True: pass']) if busy else None
            for name in names: found[name, busy].append(ask(processes[name], seconds))
            if other: other.kill(); other.wait()
    return found

def shown(xs, form): return f'{statistics.median(xs):{form}} ({min(xs):{form}} to {max(xs):{form}})'

def main(rounds=10, seconds=2):
    before = os.getloadavg()[0]
    processes = {name: start(setting) for name, setting in SETTINGS.items()}
    threads = {name: p.stdout.readline().strip() for name, p in processes.items()}
    found = measure(processes, int(rounds), float(seconds))
    for p in processes.values(): p.stdin.close(); p.wait()
    print(f'{os.cpu_count()} cores; load average {before:.2f} before, {os.getloadavg()[0]:.2f} after; {rounds} rounds of {seconds} s; median (range)')
    for busy in (False, True):
        print('\nbeside one busy process' if busy else 'alone')
        base = found['as it is', busy]
        for name in processes:
            ratios = [x/b for x, b in zip(found[name, busy], base)]
            print(f'  {name:24} {threads[name]} threads  {shown(found[name, busy], ".0f")} views a second, {shown(ratios, ".2f")} times as many')

if __name__ == '__main__':
    if sys.argv[1:] == ['steps']: steps()
    else: main(*sys.argv[1:])
