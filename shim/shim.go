// Package shim decides what ass-exec runs: it reads the configuration and the
// mapping, has the vault resolve the secrets, and builds the command with its
// environment.
package shim
