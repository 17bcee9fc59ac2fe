//go:build soak

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// route is a way to the vault: the host in its URL, and the proxy's, if any.
// Each names what goes wrong there, so that all starts share one name server and
// one proxy.
type route struct{ name, proxy string }

const wrongPassword = "password"

var (
	nameFaults  = []string{"fine", "dead", "empty", "servfail", "nxdomain", "mute", "late", "truncated", "cut", "garbage", "forged"}
	proxyFaults = []string{"fine", "fine", "busy", "mute", "garbage", "cut", wrongPassword}
)

// randomRoute is straight in one of two cases.
func randomRoute(secure bool) route {
	switch rand.IntN(4) {
	case 0:
		return route{name: nameFaults[rand.IntN(len(nameFaults))]}
	case 1:
		scheme := "socks5"
		if secure && rand.IntN(2) == 0 {
			scheme = "http" // which is sent whole requests, and no CONNECT, for a vault without TLS
		}
		return route{"fine", scheme + "://" + proxyFaults[rand.IntN(len(proxyFaults))]}
	default:
		return route{}
	}
}

func (r route) fine() bool {
	return (r.name == "" || r.name == "fine") && (r.proxy == "" || strings.HasSuffix(r.proxy, "fine"))
}

// env is what a start is told of the way to a vault at a port of loopback.
func (r route) env(scheme, port, proxy string) []string {
	if r.name == "" {
		return []string{"ASS_API_URL=" + scheme + "://127.0.0.1:" + port}
	}
	env := []string{"ASS_API_URL=" + scheme + "://" + r.name + ".soak.example:" + port, "ASS_ALLOW_HTTP=" + fmt.Sprint(scheme == "http")}
	if r.proxy != "" {
		env = append(env, strings.ToUpper(scheme)+"_PROXY="+r.proxy+":password@"+proxy)
	}
	return env
}

// serveFaultyNames answers as the first label of a name says, or in half of the
// cases as it should.
func serveFaultyNames(t *testing.T) {
	t.Helper()
	names := make(map[string][]string)
	for _, fault := range nameFaults {
		names[fault+".soak.example"] = []string{"127.0.0.1"}
	}
	names["dead.soak.example"] = []string{"10.9.0.2", "127.0.0.1"}
	answerNames(t, func(query []byte) ([][]byte, time.Duration) {
		good := nameReply(query, names)
		if rand.IntN(2) == 0 {
			return spoilReply(string(query[13:13+query[12]]), good)
		}
		return [][]byte{good}, 0
	})
}

// spoilReply turns a good reply into those that a faulty name server sends.
func spoilReply(fault string, good []byte) (replies [][]byte, delay time.Duration) {
	const flags, rcode, answers = 2, 3, 7 // bytes of the header
	bad := slices.Clone(good)
	switch fault {
	case "mute":
		return nil, 0
	case "late":
		return [][]byte{good}, 150 * time.Millisecond
	case "servfail":
		bad[rcode] |= 2
	case "nxdomain":
		bad[rcode] |= 3
	case "truncated": // and nobody listens on TCP
		bad[flags] |= 2
	case "empty":
		bad = bad[:len(bad)-16*int(bad[answers])]
		bad[answers] = 0
	case "cut":
		bad = bad[:len(bad)-3]
	case "garbage":
		for i := range bad[4:] {
			bad[4+i] = byte(rand.IntN(256))
		}
	case "forged": // somebody guesses the identifier, and is faster
		bad[0] ^= 1
		bad[len(bad)-1] = 9
		return [][]byte{bad, good}, 0
	}
	return [][]byte{bad}, 0
}

// soakProxy speaks CONNECT and SOCKS 5. The user's name says what it does wrong.
func soakProxy(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				from := bufio.NewReader(c)
				if first, err := from.Peek(1); err == nil && first[0] == 5 {
					proxySOCKS(c, from)
				} else if err == nil {
					proxyCONNECT(c, from)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func proxyCONNECT(c net.Conn, from *bufio.Reader) {
	r, err := http.ReadRequest(from)
	if err != nil {
		return
	}
	fault, _, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth()
	_, port, _ := net.SplitHostPort(r.Host)
	answer := "HTTP/1.1 200 OK\r\n\r\n"
	switch fault {
	case wrongPassword:
		answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
	case "busy":
		answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
	}
	answerOrTunnel(c, from, fault, port, answer)
}

func proxySOCKS(c net.Conn, from *bufio.Reader) { // RFC 1928, RFC 1929
	field := func() string { // with its length before it
		n, _ := from.ReadByte()
		text := make([]byte, n)
		_, _ = io.ReadFull(from, text)
		return string(text)
	}
	_, _ = from.Discard(1)
	field()
	_, _ = c.Write([]byte{5, 2})
	_, _ = from.Discard(1)
	fault := field()
	field()
	if fault == wrongPassword {
		_, _ = c.Write([]byte{1, 1})
		return
	}
	_, _ = c.Write([]byte{1, 0})
	_, _ = from.Discard(4)
	field()
	port := make([]byte, 2)
	_, _ = io.ReadFull(from, port)
	answer := []byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	if fault == "busy" {
		answer[1] = 1
	}
	answerOrTunnel(c, from, fault, fmt.Sprint(binary.BigEndian.Uint16(port)), string(answer))
}

// answerOrTunnel ends a proxy's part as the fault says, or carries bytes to the
// vault and back, with cut up to a random one.
func answerOrTunnel(c net.Conn, from *bufio.Reader, fault, port, answer string) {
	switch fault {
	case "mute":
		_, _ = io.Copy(io.Discard, c)
		return
	case "garbage":
		answer = strings.Repeat(string(rune('a'+rand.IntN(26))), rand.IntN(100))
	}
	_, _ = io.WriteString(c, answer)
	if fault != "fine" && fault != "cut" {
		return
	}
	vault, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return
	}
	defer vault.Close()
	back := io.Reader(vault)
	if fault == "cut" {
		back = io.LimitReader(vault, rand.Int64N(8000))
	}
	go func() { _, _ = io.Copy(vault, from); vault.Close() }()
	_, _ = io.Copy(c, back)
}
