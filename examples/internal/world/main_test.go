//go:build world

// Package world sets ass-exec beside and behind the programs of others: inits,
// servers, proxies, readers of dotenv, resolvers. It wants bin/ass-exec, of
// make build, root, and the packages that .ci/install-world-tools installs.
package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var assExec string // its absolute path

// Who asks for the tag wants these tests: without a tool they fail.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if pid := os.Getenv(searchPID); pid != "" {
		if err := search(pid); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	// Debian has most servers where only root looks.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	dir, err := os.MkdirTemp("", "world")
	if err == nil {
		defer os.RemoveAll(dir)
		err = setUp(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

var tools = []string{
	"gcc", "unshare", "tini", "dumb-init", "catatonit",
	"nginx", "haproxy", "apache2", "caddy", "nghttpx", "hitch", "varnishd", "lighttpd", "node",
	"squid", "tinyproxy", "microsocks", "htpasswd", "ip", "nft",
}

func setUp(dir string) (err error) {
	if assExec, err = filepath.Abs("../../../bin/ass-exec"); err != nil {
		return err
	}
	if _, err := os.Stat(assExec); err != nil {
		return fmt.Errorf("%w: run make build", err)
	}
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no %s: run .ci/install-world-tools", strings.Join(missing, ", "))
	}
	return errors.Join(buildProbe(dir), copyForAnyone(dir))
}

func copyForAnyone(dir string) error {
	anyones = filepath.Join(dir, "anyones")
	self, err := os.Executable()
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.Mkdir(anyones, 0o755)); err != nil {
		return err
	}
	for name, from := range map[string]string{"ass-exec": assExec, "test": self} {
		data, err := os.ReadFile(from)
		if err := errors.Join(err, os.WriteFile(filepath.Join(anyones, name), data, 0o755)); err != nil {
			return err
		}
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
