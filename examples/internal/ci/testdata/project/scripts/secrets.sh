#!/bin/sh
# Tells which secrets the step $1 has: names and lengths, never values.
for name in GEMINI_API_KEY DATABASE_URL STRIPE_SECRET_KEY SLACK_BOT_TOKEN ASS_AGENT_KEY; do
	if value=$(printenv "$name"); then
		echo "$1: $name has ${#value} characters"
	fi
done
echo "$1: done"
