"A long measurement in parts: each ends in rows of a CSV, and is not made again where they stand."
import csv
import sys
import time

from machine import machine

def timed(do, part):
    "The rows of a part, with what it took"
    start, cpu = time.time(), time.process_time()
    found = list(do(part))
    spent = dict(seconds=round(time.time() - start, 1), cpu_seconds=round(time.process_time() - cpu, 1))
    return [part._asdict() | row | spent for row in found]

def append(out, columns, rows):
    "Write rows behind those that are there, if any, which must have the same columns"
    old = next(csv.reader(open(out, newline='')), None) if out.exists() else None
    if old and old != columns: sys.exit(f"'{out}' has other columns; move it away, or name another file")
    with open(out, 'a', newline='') as f:
        writer = csv.DictWriter(f, columns)
        if not old: writer.writeheader()
        writer.writerows(rows)

def reached(row): return row.get('accuracy', row.get('rotation_accuracy'))

def run_parts(parts, do, out, columns, key, known={}, minutes=None, score=reached):
    """Make every part, a named tuple, whose `key(row)` is in no row of `out`; `do(part)` gives its rows.

    `columns` are those of a row beside the fields of a part; `known` stands in every row, and so does the machine.
    With `minutes`, no part is begun after that time. The highest `score` of a part's rows is printed.
    """
    start = time.time()
    done = {key(row) for row in csv.DictReader(open(out, newline=''))} if out.exists() else set()
    for part in parts:
        if key(part._asdict()) in done: continue
        if minutes is not None and time.time() - start > 60*minutes:
            return print(f'{minutes} minutes are over; the same command goes on')
        facts = machine()
        names = [*part._fields, *columns, 'seconds', 'cpu_seconds', *known, *facts]
        append(out, names, [])  # fails now, if it has to
        rows = [row | facts | known for row in timed(do, part)]
        append(out, names, rows)
        done.add(key(part._asdict()))  # a part that stands twice in `parts` is made once
        best = max(map(score, rows))
        print(f"{', '.join(filter(None, key(part._asdict())))}: {best:.1%}, {rows[0]['seconds']:.0f} s", flush=True)
