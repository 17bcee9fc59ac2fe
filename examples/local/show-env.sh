#!/bin/sh
# Shows which of the mapped variables arrived: names and lengths, no values.
for name in GEMINI_API_KEY STRIPE_SECRET_KEY SLACK_BOT_TOKEN DATABASE_URL PGPASSWORD TLS_KEY_FILE SENTRY_DSN LOG_LEVEL ASS_AGENT_KEY; do
	eval "value=\${$name-}"
	if eval "test -n \"\${$name+set}\""; then
		echo "$name: ${#value} characters"
	else
		echo "$name: not set"
	fi
done
echo "pid $$ is this program: ass-exec has become it"
