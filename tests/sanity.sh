#!/usr/bin/env bash
# Runs `ansible-test sanity` on a copy of the work tree, since ansible-test wants the collection in a folder named after it.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy="$work/ansible_collections/rightsize/whisper"
mkdir -p "$copy"
git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
  [ -e "$file" ] || continue
  mkdir -p "$copy/$(dirname "$file")"
  cp "$file" "$copy/$file"
done
cd "$copy"
git init --quiet && git add --all
unset ANSIBLE_CONFIG
ansible-test sanity --color no --python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$@"
