#!/usr/bin/env bash
# Shows every module, filter, action and role of the collection with ansible-doc: each must have documentation that it can read.
set -euo pipefail
cd "$(dirname "$0")/.."
for type in module filter lookup role; do
  names=$(ansible-doc --list --type "$type" --json rightsize.whisper 2>/dev/null | python3 -c 'import json, sys; print(*json.load(sys.stdin))')
  for name in $names; do
    ansible-doc --type "$type" "$name" >/dev/null
    echo "documented: $type $name"
  done
done
for kind in modules filter; do
  for file in plugins/"$kind"/*.py; do
    [ -e "$file" ] || continue
    case "$kind" in
      modules)
        ansible-doc --type module "rightsize.whisper.$(basename "$file" .py)" --json | python3 -c '
import json, sys
(name, page), = json.load(sys.stdin).items()
missing = [part for part in ("doc", "examples", "return") if not page.get(part)]
sys.exit(f"{name}: no {missing}" if missing else 0)'
        ;;
    esac
  done
done
