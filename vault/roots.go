package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Roots says which certificate authorities are trusted. The zero value trusts
// the system's, and where an image has none the embedded Mozilla roots.
type Roots struct {
	CAFile   string // --ca-file: trusted instead of everything else
	CertFile string // SSL_CERT_FILE
	CertDir  string // SSL_CERT_DIR, a list separated as in PATH
}

// RootsError is a configured source of roots that cannot be used.
type RootsError struct {
	Setting string // --ca-file, SSL_CERT_FILE or SSL_CERT_DIR
	Err     error
}

func (e *RootsError) Error() string { return e.Setting + ": " + e.Err.Error() }

func (e *RootsError) Unwrap() error { return e.Err }

// Configured reports whether the user named the roots, so that a mistake in
// them can be reported before anything is sent.
func (r Roots) Configured() bool { return r.CAFile != "" || r.CertFile != "" || r.CertDir != "" }

// Load reads the roots. A nil pool stands for the platform's own verifier.
func (r Roots) Load() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if r.CAFile != "" {
		return pool, addFile(pool, "--ca-file", r.CAFile)
	}
	if !r.Configured() {
		return systemRoots(), nil
	}
	if r.CertFile != "" {
		if err := addFile(pool, "SSL_CERT_FILE", r.CertFile); err != nil {
			return nil, err
		}
	}
	for _, dir := range filepath.SplitList(r.CertDir) {
		if err := addDir(pool, dir); err != nil {
			return nil, &RootsError{"SSL_CERT_DIR", err}
		}
	}
	if pool.Equal(x509.NewCertPool()) {
		return nil, &RootsError{"SSL_CERT_DIR", fmt.Errorf("%s contains no PEM certificate", r.CertDir)}
	}
	return pool, nil
}

func addFile(pool *x509.CertPool, setting, name string) error {
	pem, err := readRegular(name)
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s contains no PEM certificate", name)
	}
	if err != nil {
		return &RootsError{setting, err}
	}
	return nil
}

func addDir(pool *x509.CertPool, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		// Such directories also hold dangling links and other files.
		if pem, err := readRegular(filepath.Join(dir, entry.Name())); err == nil {
			pool.AppendCertsFromPEM(pem)
		}
	}
	return nil
}

// readRegular reads a file, and nothing that may have no end: a FIFO without a
// writer would hold up the opening itself.
func readRegular(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	return os.ReadFile(name)
}

// bundledRoots reads the first of the named bundles that holds a certificate,
// the directories only if there is no bundle, and the embedded roots only if
// there is nothing else: Debian keeps every root twice, in one bundle and in
// 280 files, and x509.SystemCertPool reads them all.
func bundledRoots(files, dirs []string) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, name := range files {
		if pem, err := readRegular(name); err == nil && pool.AppendCertsFromPEM(pem) {
			return pool
		}
	}
	for _, dir := range dirs {
		// A directory that cannot be read counts as empty.
		_ = addDir(pool, dir)
	}
	if pool.Equal(x509.NewCertPool()) {
		addRoots(pool, bundle.Roots())
	}
	return pool
}

func addRoots(pool *x509.CertPool, roots iter.Seq[bundle.Root]) {
	for root := range roots {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
}
