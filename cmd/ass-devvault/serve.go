package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// listen opens the listener and, for TLS, leaves the authority in a file.
func listen(o options, vault *devvault.Server) (l net.Listener, url, caFile string, cleanUp func(), err error) {
	address := o.listen
	if address == "" {
		address = "127.0.0.1:8787"
		if len(o.command) > 0 {
			address = "127.0.0.1:0"
		}
	}
	plain, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", "", nil, err
	}
	if !isLoopback(plain.Addr()) && !o.allowRemote {
		plain.Close()
		return nil, "", "", nil, fmt.Errorf("%s is not loopback; --allow-remote allows it", address)
	}
	l = vault.Listener(plain)
	if !o.tls && o.caIn == "" && o.caOut == "" {
		return l, "http://" + reachable(plain.Addr()), "", func() {}, nil
	}
	ca, err := authority(o.caIn)
	if err != nil {
		return nil, "", "", nil, err
	}
	cert, err := ca.Certificate(append([]string{"localhost", "127.0.0.1", "::1"}, o.hosts...)...)
	if err != nil {
		return nil, "", "", nil, err
	}
	caFile, cleanUp, err = writeCA(o.caOut, ca.PEM())
	if err != nil {
		return nil, "", "", nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}
	return tls.NewListener(l, config), "https://" + reachable(plain.Addr()), caFile, cleanUp, nil
}

// authority is the one in the file, which restarts of the vault have in common,
// or a new one.
func authority(file string) (*devvault.Authority, error) {
	if file == "" {
		return devvault.NewAuthority()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	ca, err := devvault.ParseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("--tls-ca-in %s: %w", file, err)
	}
	return ca, nil
}

// reachable is the address as a client on this machine can use it.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return addr.String()
}

// writeCA writes the authority to the file that was asked for, or to a
// temporary one that does not outlive the command.
func writeCA(file string, ca []byte) (string, func(), error) {
	if file != "" {
		// Whole or not at all: others wait for it to appear.
		tmp := file + ".tmp"
		if err := os.WriteFile(tmp, ca, 0o644); err != nil {
			return "", nil, err
		}
		return file, func() {}, os.Rename(tmp, file)
	}
	dir, err := os.MkdirTemp("", "ass-devvault-")
	if err != nil {
		return "", nil, err
	}
	cleanUp := func() { _ = os.RemoveAll(dir) }
	file = filepath.Join(dir, "ca.pem")
	return file, cleanUp, os.WriteFile(file, ca, 0o644)
}

// runCommand runs the command to its end, passes signals on to it, and returns
// the status that a shell would.
func runCommand(argv, env []string) (int, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// waitForSignal returns the status for the signal that ends the server: being
// stopped is how it is meant to end.
func waitForSignal() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	return 0
}
