#!/bin/sh
# Bring a virtual environment up to date: environment.sh FOLDER run|dev
# PYTHON names the interpreter; without it that of FOLDER is taken, or the first on the PATH that is supported.
set -eu
here=$(dirname "$0")
# The Pythons for which every locked package has a wheel stand in pyproject.toml, once.
supported=$(sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' "$here/../pyproject.toml")

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
supports() { printf '%s\n' "$supported" | grep -qxF "$(version "$1")"; }

if [ -n "${PYTHON:-}" ]; then
    set -- "$@" "$PYTHON"
else
    set -- "$@" "$1/bin/python" python3
    for each in $supported; do set -- "$@" "python$each"; done
fi
folder=$1 kind=$2
shift 2
for python; do
    if supports "$python"; then exec "$python" "$here/environment.py" "$folder" "$kind"; fi
done
named=${PYTHON:-python3} found=$(version "${PYTHON:-python3}")
[ -n "$found" ] || found="not a Python that runs"
echo "Python $(echo $supported | sed 's/ /, /g') can be used; $named is $found." \
    "Name one with: make PYTHON=/path/to/python3 ..." >&2
exit 1
