# Sourced by run, test and check: finds a Python and hands over to the launcher, which makes .venv (OPS-1, OPS-2).
script=$(readlink -f -- "$0")
cd -- "$(dirname -- "$script")" || exit 3
unset PYTHONHOME PYTHONPATH
for python in python3.11 python3.12 python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
        exec "$python" -m launcher "$(basename -- "$script")" "$@"
    fi
done
echo "Baton needs Python 3.11 or 3.12 on PATH (Debian: apt-get install python3 python3-pip)." >&2
exit 3
