package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

// writeAuthority writes what openssl req -x509 would: key and certificate.
func writeAuthority(t *testing.T, isCA bool) (file string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	file = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, cert
}

func TestRestartKeepsTheAuthorityOfAFile(t *testing.T) {
	file, ca := writeAuthority(t, true)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for range 2 {
		l, _, caFile, cleanUp, err := listen(options{listen: "127.0.0.1:0", caIn: file}, devvault.New(devvault.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		defer cleanUp()
		defer l.Close()
		go func() {
			if c, err := l.Accept(); err == nil {
				_ = c.(*tls.Conn).Handshake()
			}
		}()
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		got, err := os.ReadFile(caFile)
		if want := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})); err != nil || string(got) != want {
			t.Errorf("ASS_CA_FILE: got %s, %v, want the certificate alone:\n%s", got, err, want)
		}
	}
}

func TestAuthorityThatCannotSignIsRefused(t *testing.T) {
	server, _ := writeAuthority(t, false)
	noKey := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noKey, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		server:    "--tls-ca-in " + server + ": the certificate is not an authority's",
		noKey:     "--tls-ca-in " + noKey + ": tls: failed to find any PEM data in certificate input",
		"nowhere": "open nowhere: no such file or directory",
	} {
		if _, err := authority(file); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
