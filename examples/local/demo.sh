#!/bin/sh
# What ass-exec does, in two runs against the dev vault: one that starts its
# command and one that refuses to. Needs nothing but the built binaries.
set -eu
cd "$(dirname "$0")"
PATH=$(cd ../../bin && pwd):$PATH

echo '$ ass-devvault --seed vault.json -- ass-exec --mapping ass.env -- ./show-env.sh'
ass-devvault --seed vault.json -- ass-exec --mapping ass.env -- ./show-env.sh

echo
echo '$ ass-devvault --seed vault.json -- ass-exec --mapping misspelt.env -- ./show-env.sh'
status=0
ass-devvault --seed vault.json -- ass-exec --mapping misspelt.env -- ./show-env.sh || status=$?
echo "exit status $status, and the command was not started"
test "$status" = 66
