module github.com/agent-secret-store/ass-exec

go 1.26.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/hashicorp/go-envparse v0.1.0
	github.com/rogpeppe/go-internal v1.16.0
	golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d
	golang.org/x/sys v0.49.0
)

require golang.org/x/tools v0.26.0 // indirect
