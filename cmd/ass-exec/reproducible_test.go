//go:build linux && amd64

package main

import (
	"crypto/sha256"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Whoever rebuilds a release elsewhere must get its bytes.
func TestBuildsInDifferentFoldersGiveTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds ass-exec twice")
	}
	sum := func(dir string) [sha256.Size]byte {
		copyModule(t, dir)
		built, err := os.ReadFile(makeBuild(t, dir, "linux", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(built)
	}
	near, far := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "longer", "path")
	if a, b := sum(near), sum(far); a != b {
		t.Errorf("got %x from %s\nand %x from %s", a, near, b, far)
	}
}

// An image made from scratch has no dynamic linker.
func TestLinuxBuildsAreStatic(t *testing.T) {
	if testing.Short() {
		t.Skip("builds ass-exec for five architectures")
	}
	dir := t.TempDir()
	copyModule(t, dir)
	for _, arch := range []string{"amd64", "arm64", "arm", "386", "riscv64"} {
		t.Run(arch, func(t *testing.T) {
			file, err := elf.Open(makeBuild(t, dir, "linux", arch))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			for _, prog := range file.Progs {
				if prog.Type == elf.PT_INTERP || prog.Type == elf.PT_DYNAMIC {
					t.Errorf("the binary has a %v header", prog.Type)
				}
			}
		})
	}
}

func TestBuildsForTheMac(t *testing.T) {
	if testing.Short() {
		t.Skip("builds ass-exec twice")
	}
	dir := t.TempDir()
	copyModule(t, dir)
	for _, arch := range []string{"amd64", "arm64"} {
		makeBuild(t, dir, "darwin", arch)
	}
}

// copyModule copies what "make build" reads.
func copyModule(t *testing.T, dir string) {
	t.Helper()
	for _, folder := range []string{"cmd", "shim", "vault"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join("../..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"Makefile", "go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// makeBuild runs the Makefile's goal, so that its flags are what is tested.
func makeBuild(t *testing.T, dir, system, arch string) string {
	t.Helper()
	cmd := exec.Command("make", "-C", dir, "build", "VERSION=v0.0.0")
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bin", "ass-exec")
}
