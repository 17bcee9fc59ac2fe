package vault

import (
	"crypto/x509"
	"syscall"
	"testing"
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
		{Roots{CertDir: dir}, "SSL_CERT_DIR: " + dir + " holds no PEM certificate"},
	} {
		if _, err := tt.roots.Load(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

func TestEmbeddedRootsAreForImagesWithoutAny(t *testing.T) {
	embedded := x509.NewCertPool()
	addEmbedded(embedded)
	if embedded.Equal(x509.NewCertPool()) {
		t.Error("no roots are embedded")
	}
	empty := t.TempDir()
	if got := bundledRoots([]string{empty + "/none.pem"}, []string{empty, empty + "/none"}); !got.Equal(embedded) {
		t.Error("an image without roots does not get the embedded ones")
	}
}
