package main

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-secret-store/ass-exec/vault/devvault"
)

const (
	// A network whose only link leads nowhere, and a name server on it.
	deadNetwork = `set -e
ip link set lo up
ip link add here type veth peer name there
ip address add 10.9.0.1/24 dev here
ip address add 10.9.0.9/24 dev here
ip link set here up
ip link set there up
for n in 2 3 4 5 6; do ip neighbour add 10.9.0.$n lladdr 02:00:00:00:00:0$n dev here; done
mount --bind "$RESOLV_CONF" /etc/resolv.conf
mount --bind "$HOSTS" /etc/hosts
exec "$@"`
	inDeadNetwork = "ASS_TEST_IN_DEAD_NETWORK"
)

// Dead addresses of the vault's name cost fractions of a second.
func TestDeadAddressesDelayAStartByLittle(t *testing.T) {
	if os.Getenv(inDeadNetwork) == "" {
		reenter(t)
		return
	}
	v := devvault.New(devvault.Config{})
	v.Put("a/B", "value")
	l, err := net.Listen("tcp", "10.9.0.1:8787")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: v}
	defer server.Close()
	go func() { _ = server.Serve(l) }()
	serveNames(t, map[string][]string{
		"two.example":  {"10.9.0.2", "10.9.0.1"},
		"six.example":  {"10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6", "10.9.0.1"},
		"one.example":  {"10.9.0.1"},
		"sick.example": {"10.9.0.9", "10.9.0.1"},
	})
	sick, err := net.Listen("tcp", "10.9.0.9:8787")
	if err != nil {
		t.Fatal(err)
	}
	defer sick.Close()
	go func() {
		for {
			c, err := sick.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for _, tt := range []struct {
		name     string
		warnings int
	}{
		{"10.9.0.1", 0},
		{"one.example", 0},
		{"hosts.example", 0},
		{"two.example", 0},
		{"six.example", 0},
		{"sick.example", 1}, // it connects, and the retry begins at the other
	} {
		const most = 5 * time.Second // one dead address alone would take 8
		start := time.Now()
		status, stdout, stderr := assExec(t, []string{
			"PATH=" + os.Getenv("PATH"), "ASS_AGENT_KEY=" + v.AgentKey(), "ASS_API_URL=http://" + tt.name + ":8787", "ASS_ALLOW_HTTP=true", "X=ass://a/B",
		}, "sh", "-c", `echo "$X"`)
		if took := time.Since(start); status != 0 || stdout != "value\n" || strings.Count(stderr, "\n") != tt.warnings || took > most {
			t.Errorf("%s: got status %d, %q, %q after %s", tt.name, status, stdout, stderr, took)
		} else {
			t.Logf("%s: %s", tt.name, took.Round(time.Millisecond))
		}
	}
}

// reenter runs the calling test again where the dead network is the only one.
func reenter(t *testing.T) {
	files := make(map[string]string)
	for variable, text := range map[string]string{
		"RESOLV_CONF": "nameserver 127.0.0.1\n", "HOSTS": "10.9.0.2 hosts.example\n10.9.0.1 hosts.example\n",
	} {
		files[variable] = filepath.Join(t.TempDir(), variable)
		if err := os.WriteFile(files[variable], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	enter := func(args ...string) *exec.Cmd {
		cmd := exec.Command("unshare", append([]string{"-rnm", "sh", "-c", deadNetwork, "sh"}, args...)...)
		cmd.Env = append(os.Environ(), inDeadNetwork+"=1", "RESOLV_CONF="+files["RESOLV_CONF"], "HOSTS="+files["HOSTS"])
		return cmd
	}
	needTool(t, enter("true").Run() == nil, "unshare and ip, to have a network of its own")
	out, err := enter(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

// serveNames answers the queries for A of these names, and that there is
// nothing else.
func serveNames(t *testing.T, names map[string][]string) {
	t.Helper()
	answerNames(t, func(query []byte) ([][]byte, time.Duration) { return [][]byte{nameReply(query, names)}, 0 })
}

// answerNames sends what answer makes of each query, so much later.
func answerNames(t *testing.T, answer func(query []byte) ([][]byte, time.Duration)) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, client, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			replies, delay := answer(query[:n])
			time.AfterFunc(delay, func() {
				for _, reply := range replies {
					_, _ = server.WriteTo(reply, client)
				}
			})
		}
	}()
}

// nameReply answers a DNS query (RFC 1035, section 4).
func nameReply(query []byte, names map[string][]string) []byte {
	const header, pointer, a, in = 12, 0xc000, 1, 1
	end := header
	var labels []string
	for query[end] != 0 {
		next := end + 1 + int(query[end])
		labels = append(labels, string(query[end+1:next]))
		end = next
	}
	var ips []string
	if binary.BigEndian.Uint16(query[end+1:]) == a {
		ips = names[strings.Join(labels, ".")]
	}
	reply := append([]byte{}, query[:end+5]...)
	copy(reply[2:header], []byte{0x81, 0x80, 0, 1, 0, byte(len(ips)), 0, 0, 0, 0})
	for _, ip := range ips {
		for _, field := range []uint16{pointer | header, a, in, 0, 60, 4} {
			reply = binary.BigEndian.AppendUint16(reply, field)
		}
		reply = append(reply, netip.MustParseAddr(ip).AsSlice()...)
	}
	return reply
}
