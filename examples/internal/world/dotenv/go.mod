// Apart from the main module, so that nobody who builds ass-exec downloads
// other readers of dotenv for it.
module github.com/agent-secret-store/ass-exec/examples/internal/world/dotenv

go 1.26.0

replace github.com/agent-secret-store/ass-exec => ../../../..

require (
	github.com/agent-secret-store/ass-exec v0.0.0
	github.com/compose-spec/compose-go/v2 v2.16.1
	github.com/joho/godotenv v1.5.1
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/hashicorp/go-envparse v0.1.0 // indirect
	github.com/sirupsen/logrus v1.10.1 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d // indirect
	golang.org/x/sys v0.49.0 // indirect
)
