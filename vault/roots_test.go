package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// A FIFO among the roots would hold up the start for ever.
func TestRootsAreReadFromRegularFilesAlone(t *testing.T) {
	dir := t.TempDir()
	fifo := dir + "/fifo.pem"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		roots Roots
		want  string
	}{
		{Roots{CAFile: fifo}, "--ca-file: read " + fifo + ": not a regular file"},
		{Roots{CAFile: dir}, "--ca-file: read " + dir + ": is a directory"},
		{Roots{CertFile: fifo}, "SSL_CERT_FILE: read " + fifo + ": not a regular file"},
		{Roots{CertDir: dir}, "SSL_CERT_DIR: " + dir + " contains no PEM certificate"},
	} {
		if _, err := tt.roots.Load(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestEmbeddedRootsAreForImagesWithoutAny(t *testing.T) {
	embedded := x509.NewCertPool()
	addRoots(embedded, bundle.Roots())
	if embedded.Equal(x509.NewCertPool()) {
		t.Error("no roots are embedded")
	}
	empty := t.TempDir()
	if got := bundledRoots([]string{empty + "/none.pem"}, []string{empty, empty + "/none"}); !got.Equal(embedded) {
		t.Error("an image without roots does not get the embedded ones")
	}
}

// Some of Mozilla's roots are trusted only for some names, or only for what
// they signed before a date.
func TestEmbeddedRootsAreTrustedWithinTheirConstraints(t *testing.T) {
	tooNew := errors.New("signed too late")
	for _, tt := range []struct {
		claim      string
		names      []string // that the root may sign for; nil: all
		constraint func([]*x509.Certificate) error
		trusted    bool
	}{
		{"no constraint", nil, nil, true},
		{"a constraint that is met", nil, func([]*x509.Certificate) error { return nil }, true},
		{"a constraint that is not", nil, func([]*x509.Certificate) error { return tooNew }, false},
		{"names with ours", []string{"example"}, nil, true},
		{"names without ours", []string{"other"}, nil, false},
	} {
		root, leaf := chain(t, "vault.example", tt.names)
		pool := x509.NewCertPool()
		addRoots(pool, slices.Values([]bundle.Root{{Certificate: []byte("none")}, {Certificate: root, Constraint: tt.constraint}}))
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: "vault.example", Roots: pool})
		if (err == nil) != tt.trusted {
			t.Errorf("%s: got %v", tt.claim, err)
		}
	}
	constrained := 0
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			constrained++
		}
	}
	if constrained == 0 {
		t.Error("no embedded root has a constraint: is that still the bundle's way to tell one?")
	}
}

// chain is a root that may sign for some names, and a certificate that it
// signed.
func chain(t *testing.T, host string, names []string) (root []byte, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomains: names, PermittedDNSDomainsCritical: true,
	}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, DNSNames: []string{host}}
	sign := func(cert *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if leaf, err = x509.ParseCertificate(sign(server)); err != nil {
		t.Fatal(err)
	}
	return sign(ca), leaf
}

// What the user names is trusted instead of the rest, --ca-file even instead of
// the other two.
func TestConfiguredRootsAreTheOnlyOnes(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) (string, []byte) { return writeRoot(t, dir, name) }
	a, pemA := write("a.pem")
	b, pemB := write("b.pem")
	c, pemC := write("certs/c.pem")
	for _, tt := range []struct {
		claim string
		roots Roots
		want  [][]byte
	}{
		{"all three", Roots{a, b, filepath.Dir(c)}, [][]byte{pemA}},
		{"a file and directories", Roots{"", b, filepath.Dir(c) + ":" + dir}, [][]byte{pemA, pemB, pemC}},
		{"a directory", Roots{"", "", filepath.Dir(c)}, [][]byte{pemC}},
	} {
		want := x509.NewCertPool()
		for _, pem := range tt.want {
			want.AppendCertsFromPEM(pem)
		}
		if got, err := tt.roots.Load(); err != nil || !got.Equal(want) || !tt.roots.Configured() {
			t.Errorf("%s: got %v, %v", tt.claim, got, err)
		}
	}
	if (Roots{}).Configured() {
		t.Error("no roots count as configured")
	}
	_, err := Roots{CertDir: dir + "/none"}.Load()
	var e *RootsError
	if !errors.As(err, &e) || e.Setting != "SSL_CERT_DIR" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// writeRoot writes a new root to a file below dir.
func writeRoot(t *testing.T, dir, name string) (file string, pem []byte) {
	t.Helper()
	authority, err := devvault.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, authority.PEM()
}

// Debian has every root in a bundle and in files: reading both takes longer
// than a start.
func TestFirstBundleWithARootIsAllThatIsRead(t *testing.T) {
	dir := t.TempDir()
	first, pem1 := writeRoot(t, dir, "1.pem")
	second, _ := writeRoot(t, dir, "2.pem")
	single, pem3 := writeRoot(t, dir, "certs/3.pem")
	missing, empty, certs := dir+"/none.pem", dir+"/empty.pem", filepath.Dir(single)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		claim string
		files []string
		want  []byte
	}{
		{"a bundle", []string{first, second}, pem1},
		{"one behind others that are missing or empty", []string{missing, empty, first, second}, pem1},
		{"no bundle", []string{missing, empty}, pem3},
	} {
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(tt.want)
		if got := bundledRoots(tt.files, []string{certs}); !got.Equal(want) {
			t.Errorf("%s: got other roots than the one", tt.claim)
		}
	}
}
