//go:build world

package world

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/examples/internal/link"
)

// A network of our own, in which nothing comes back from 10.9.1.0/24 and
// 2001:db8:1::/64, and packets to the vault are lost as a test says.
const ownNetwork = `set -e
ip link set lo up
ip addr add 10.9.0.1/32 dev lo
ip addr add fd09::1/128 dev lo nodad
for i in 1 2 3 4 5 53; do
	ip addr add 10.9.1.$i/32 dev lo
	ip addr add 2001:db8:1::$i/128 dev lo nodad
done
nft -f - <<'RULES'
table inet world {
	chain loss { }
	chain input {
		type filter hook input priority 0;
		ip daddr 10.9.1.0/24 drop
		ip6 daddr 2001:db8:1::/64 drop
		tcp sport 8443 jump loss
		tcp dport 8443 jump loss
	}
}
RULES
mount --bind "$WORLD_NETWORK" /etc/resolv.conf
exec "$@"`

// Whatever names and networks are like, a command has all of its secrets, and
// soon.
func TestNamesAndLossDelayNoStartForLong(t *testing.T) {
	if os.Getenv("WORLD_NETWORK") == "" {
		file := filepath.Join(t.TempDir(), "resolv.conf")
		must(t, os.WriteFile(file, nil, 0o644))
		cmd := exec.Command("unshare", "-nm", "sh", "-c", ownNetwork, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "WORLD_NETWORK="+file)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	v := newVault(t, 20)
	l, err := net.Listen("tcp", "[::]:8443")
	must(t, err)
	v.serveTLS(t, l)
	serveNames(t)
	const ours, mute = "nameserver 127.0.0.1\n", "nameserver 10.9.1.53\nnameserver 127.0.0.1\noptions timeout:1\n"
	for _, tt := range []struct {
		name, host, resolv string
		loss               int // in a hundred
		most               time.Duration
	}{
		{"an address", "10.9.0.1", ours, 0, 2 * time.Second},
		{"one of two addresses is dead", "two.example", ours, 0, 3 * time.Second},
		{"five of six are dead", "six.example", ours, 0, 4 * time.Second},
		{"IPv6 only", "v6.example", ours, 0, 2 * time.Second},
		{"IPv6 is dead", "dead6.example", ours, 0, 3 * time.Second},
		{"an alias", "alias.example", ours, 0, 2 * time.Second},
		{"TTL 0", "ttl0.example", ours, 0, 2 * time.Second},
		{"the first name server is mute", "ttl0.example", mute, 0, 5 * time.Second},
		{"found by search, ndots 3", "search.example", ours + "search a.test b.test\noptions ndots:3\n", 0, 2 * time.Second},
		{"1 % of packets are lost", "10.9.0.1", ours, 1, 5 * time.Second},
		{"5 % of packets are lost", "10.9.0.1", ours, 5, 10 * time.Second},
	} {
		must(t, os.WriteFile(os.Getenv("WORLD_NETWORK"), []byte(tt.resolv), 0o644))
		must(t, exec.Command("nft", "flush", "chain", "inet", "world", "loss").Run())
		if tt.loss > 0 {
			must(t, exec.Command("nft", "add", "rule", "inet", "world", "loss",
				fmt.Sprintf("numgen random mod 100 < %d drop", tt.loss)).Run())
		}
		v.startOften(t, tt.name, tt.most, "ASS_API_URL=https://"+tt.host+":8443")
	}
}

// A long way costs a start four round trips, and so nothing that grows with the
// number of secrets.
func TestLongWayCostsFourRoundTrips(t *testing.T) {
	const rtt = 200 * time.Millisecond
	wire, err := link.New(rtt)
	must(t, err)
	v := newVault(t, 20)
	v.run = func(cmd *exec.Cmd) (err error) {
		wire.Client.Do(func() { err = cmd.Start() })
		if err == nil {
			err = cmd.Wait()
		}
		return err
	}
	var l net.Listener
	wire.Server.Do(func() { l, err = net.Listen("tcp", link.ServerAddr.String()+":8443") })
	must(t, err)
	v.serveTLS(t, l)
	const most = 4*rtt + rtt - 1 // what is left is a slow machine's
	v.startOften(t, "200 ms to the vault and back", most, "ASS_API_URL=https://"+l.Addr().String())
}

// startOften makes 50 starts of 20 secrets, five at a time, none of which may
// fail, and 95 in 100 of which may take so long at most.
func (v *worldVault) startOften(t *testing.T, name string, most time.Duration, env ...string) {
	t.Helper()
	const starts = 50
	took := make([]time.Duration, starts)
	var wg sync.WaitGroup
	slots := make(chan bool, 5)
	for i := range starts {
		slots <- true
		wg.Go(func() {
			defer func() { <-slots }()
			begin := time.Now()
			status, stderr := v.start(t, name, 20, env...)
			if took[i] = time.Since(begin); status != 0 {
				t.Errorf("%s: got status %d: %s", name, status, stderr)
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	p95 := took[starts*95/100]
	t.Logf("%-32s median %5d ms, p95 %5d ms, longest %5d ms", name, took[starts/2].Milliseconds(), p95.Milliseconds(), took[starts-1].Milliseconds())
	if p95 > most {
		t.Errorf("%s: 95 in 100 starts took up to %v, want %v", name, p95, most)
	}
}

func (v *worldVault) serveTLS(t *testing.T, l net.Listener) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(v.cert, v.key)
	must(t, err)
	server := &http.Server{Handler: v.Server, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}}
	go func() { _ = server.ServeTLS(v.Listener(l), "", "") }()
	t.Cleanup(func() { server.Close() })
}

// names are those that the name server knows; a name in place of an address is
// what the first is an alias of.
var names = map[string][]string{
	"two.example": {"10.9.1.1", "10.9.0.1"},
	"six.example": {"10.9.1.1", "10.9.1.2", "10.9.1.3", "10.9.1.4", "10.9.1.5", "10.9.0.1"},
	"v6.example":  {"fd09::1"},
	// Of global scope, so that it is preferred to IPv4.
	"dead6.example":         {"2001:db8:1::1", "10.9.0.1"},
	"alias.example":         {"other.alias.example"},
	"other.alias.example":   {"10.9.0.1"},
	"ttl0.example":          {"10.9.0.1"},
	"search.example.b.test": {"10.9.0.1"},
}

// serveNames answers queries (RFC 1035, section 4) for A and AAAA.
func serveNames(t *testing.T) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:53")
	must(t, err)
	t.Cleanup(func() { server.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, client, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(nameReply(query[:n]), client)
		}
	}()
}

func nameReply(query []byte) []byte {
	const header, cname, aaaa, in = 12, 5, 28, 1
	name, end := "", header
	for query[end] != 0 {
		next := end + 1 + int(query[end])
		name += string(query[end+1:next]) + "."
		end = next
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	kind := binary.BigEndian.Uint16(query[end+1:])
	reply := append([]byte{}, query[:end+5]...)
	answers := 0
	answer := func(owner []byte, kind uint16, data []byte) {
		reply = append(reply, owner...)
		for _, field := range []uint16{kind, in, 0, 0, uint16(len(data))} { // TTL 0
			reply = binary.BigEndian.AppendUint16(reply, field)
		}
		reply = append(reply, data...)
		answers++
	}
	owner := []byte{0xc0, header}
	addresses, known := names[name]
	if known {
		if _, err := netip.ParseAddr(addresses[0]); err != nil {
			target := wireName(addresses[0])
			answer(owner, cname, target)
			owner, addresses = target, names[addresses[0]]
		}
	}
	for _, address := range addresses {
		a := netip.MustParseAddr(address)
		if a.Is6() == (kind == aaaa) {
			answer(owner, kind, a.AsSlice())
		}
	}
	flags := byte(0x80)
	if !known {
		flags = 0x83 // there is no such name
	}
	copy(reply[2:header], []byte{0x81, flags, 0, 1, 0, byte(answers), 0, 0, 0, 0})
	return reply
}

func wireName(name string) (wire []byte) {
	for _, label := range strings.Split(name, ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	return append(wire, 0)
}
