#!/bin/sh
# Shows which of the mapped variables arrived: names and lengths, no values.
for name in GEMINI_API_KEY STRIPE_SECRET_KEY SLACK_BOT_TOKEN DATABASE_URL PGPASSWORD TLS_KEY_FILE LOG_LEVEL SENTRY_DSN ASS_AGENT_KEY; do
	eval "value=\${$name-}"
	if eval "test -n \"\${$name+set}\""; then
		echo "$name: ${#value} characters"
		continue
	fi
	case $name in
	SENTRY_DSN) echo "$name: not set (it is optional, and not in the vault)" ;;
	ASS_AGENT_KEY) echo "$name: not set (ass-exec does not pass it on)" ;;
	*) echo "$name: not set" ;;
	esac
done
echo "ass-exec has become this program, pid $$"
