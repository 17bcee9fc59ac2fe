//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"os"
	"testing"
)

// A client of HTTP/1.1 that asks for the end of the connection, as doppler
// does, gets the reply that was held at that moment.
func TestHeldReplyIsSentBeforeTheConnectionEnds(t *testing.T) {
	var p place
	listen := func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	if err := p.serve(listen, 2, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(p.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
	}}
	reply, err := client.Get(p.url + "/v3/configs/config/secrets/download?config=2")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var got map[string]string
	if err := json.NewDecoder(reply.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"S0": value(0), "S1": value(1)}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
