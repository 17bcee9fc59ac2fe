#!/bin/sh
# What ass-exec does, in two runs against the dev vault: one that starts its
# command and one that refuses to. Needs nothing but the built binaries.
set -eu
cd "$(dirname "$0")"
PATH=$(cd ../../bin && pwd):$PATH

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi
step() { printf '%s\n' "$bold$1$plain" "$dim\$ $2$plain"; }

step '1. All required secrets exist: ass-exec becomes the command' \
	'ass-devvault --seed vault.json -- ass-exec --mapping ass.env -- ./show-env.sh'
ass-devvault --seed vault.json -- ass-exec --mapping ass.env -- ./show-env.sh

echo
step '2. One path is misspelt: ass-exec does not start the command' \
	'ass-devvault --seed vault.json -- ass-exec --mapping misspelt.env -- ./show-env.sh'
status=0
ass-devvault --seed vault.json -- ass-exec --mapping misspelt.env -- ./show-env.sh || status=$?
echo "exit status $status: the command was not started"
test "$status" = 66
