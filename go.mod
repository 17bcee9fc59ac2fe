module github.com/agent-secret-store/ass-exec

go 1.26.0
