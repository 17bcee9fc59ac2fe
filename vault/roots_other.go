//go:build !darwin

package vault

import "crypto/x509"

// systemRoots reads the roots from where distributions keep them.
func systemRoots() *x509.CertPool {
	return bundledRoots([]string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
		"/etc/ssl/cert.pem",                                 // Alpine, OpenBSD
	}, []string{
		"/etc/ssl/certs",
		"/etc/pki/tls/certs",
	})
}
