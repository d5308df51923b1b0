#!/usr/bin/env bash
# Packs a release out of a built binary, and checks what it has packed.
#
#   dist.sh BINARY FOLDER   makes FOLDER anew: the files of the release, the same as a .tar.gz, and SHA256SUMS
#
# The archive is the same whenever it is made of the same binary and commit. Checks that need a program which is not here
# (systemd-analyze, man) are named as left out.
set -euo pipefail

binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

say() { printf 'dist: %s\n' "$*" >&2; }

# have PROGRAM WHAT: whether a check can be made; says so when it cannot.
have() {
    command -v "$1" >/dev/null || { say "not checked: $2 ($1 is not here)"; return 1; }
}

version=$("$binary" --version | awk '{ print $2 }')
machine=$(uname -m)
case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=macos ;;
    *) system=$(uname -s | tr '[:upper:]' '[:lower:]') ;;
esac
name=tradewind-$version-$system-$machine
rm -rf "${folder:?}"/tradewind-*/ "$folder"/tradewind-*.tar.gz "$folder/SHA256SUMS"
release=$folder/$name
mkdir -p "$release"/{completions,man}

install -m 0755 "$binary" "$release/tradewind"
strip "$release/tradewind"
"$release/tradewind" completions bash >"$release/completions/tradewind.bash"
"$release/tradewind" completions zsh >"$release/completions/_tradewind"
"$release/tradewind" completions fish >"$release/completions/tradewind.fish"
"$release/tradewind" man "$release/man"
install -m 0644 "$root"/{LICENSE,README.md,CHANGELOG.md} "$here"/{Containerfile,tradewind.service,tradewind.yaml} "$release"

bash -n "$release/completions/tradewind.bash"
have zsh "zsh's completions" && zsh -n "$release/completions/_tradewind"
have fish "fish's completions" && fish --no-execute "$release/completions/tradewind.fish"
for page in "$release"/man/*.1; do
    have man "the manual" || break
    warnings=$(LC_ALL=C.UTF-8 man --warnings -l "$page" 2>&1 >/dev/null)
    [ -z "$warnings" ] || { say "error: $(basename "$page"): $warnings"; exit 1; }
done
[ -s "$release/man/tradewind-run.1" ]
OPENAI_API_KEY=unused "$release/tradewind" check "$release/tradewind.yaml" >&2
if have systemd-analyze "the unit"; then
    # It looks for the program that the unit starts, which is installed nowhere yet, and for its manual.
    unit=$(mktemp -d)
    trap 'rm -rf "$unit"' EXIT
    sed -e "s|^ExecStart=/usr/bin/tradewind|ExecStart=$release/tradewind|" -e '/^Documentation=/d' \
        "$release/tradewind.service" >"$unit/tradewind.service"
    warnings=$(systemd-analyze verify --recursive-errors=no --man=no "$unit/tradewind.service" 2>&1)
    [ -z "$warnings" ] || { say "error: the unit: $warnings"; exit 1; }
fi
grep -q '^USER [1-9]' "$release/Containerfile"

# No names, times or orders of this machine in the archive.
when=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" -C "$folder" -cf - "$name" |
    gzip -9n >"$folder/$name.tar.gz"
(cd "$folder" && find "$name" "$name.tar.gz" -type f -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
(cd "$folder" && sha256sum --check --quiet SHA256SUMS)
say "$(du -h "$folder/$name.tar.gz" | awk '{ print $1 }') in $folder/$name.tar.gz"
