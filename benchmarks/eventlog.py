"""Appends per second beside the disk's own fsync rate, in one run, as ratios.

    ./run manage shell -c ... is not needed: python -m benchmarks.eventlog DIRECTORY

A log append is one write and one fsync, inside a database transaction. The peer is the plainest program that could keep the same
promise: one file, one write of an equal line, one fsync, repeated. `recorder` is eventlog's own work on one log; `verb` adds the
row lock, the row and the commit. With many sessions the fsyncs overlap.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
