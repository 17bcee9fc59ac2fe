package vault

import (
	"crypto/x509"
	"testing"
)

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
