#!/usr/bin/env bash
# Puts what came back (a folder with NAME.tar.aa, ...) into weights/local/sticker, which pack.sh carries on.
set -euo pipefail
to="$(dirname "$0")/../local/sticker"; mkdir -p "$to"
for first in "$1"/*.tar.aa; do cat "${first%.aa}".* | tar -C "$to" -xf -; echo "$(basename "${first%.tar.aa}")"; done
