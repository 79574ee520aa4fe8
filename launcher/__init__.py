"""What stands behind ./run, ./test and ./check: one machine, one command, real servers (OPS-1 to OPS-15).

Until .venv exists this package runs on the machine's own Python, so `__main__`, `errors`, `options`, `paths` and
`venv` import nothing but the standard library.
"""
