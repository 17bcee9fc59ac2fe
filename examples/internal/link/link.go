//go:build linux

// Package link joins two network namespaces by a wire with a round-trip time. It
// needs root.
package link

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Link is a wire on which every packet takes half a round trip. Unlike a proxy
// it leaves TCP as it is: the handshake, and the congestion window at the start,
// cost what they cost on a real network.
type Link struct {
	Client, Server *Namespace
	Sent           atomic.Int64 // packets with data from the client
}

// The addresses of the ends.
var (
	ClientAddr = net.IPv4(10, 77, 0, 1)
	ServerAddr = net.IPv4(10, 77, 0, 2)
)

// New makes a link, which stays until the process ends.
func New(rtt time.Duration) (*Link, error) {
	client, err := newNamespace(ClientAddr)
	if err != nil {
		return nil, err
	}
	server, err := newNamespace(ServerAddr)
	if err != nil {
		return nil, err
	}
	l := &Link{Client: client, Server: server}
	go carry(client.tun, server.tun, rtt/2, &l.Sent)
	go carry(server.tun, client.tun, rtt/2, new(atomic.Int64))
	return l, nil
}

// carry moves packets from one end to the other, each after the delay, and
// counts those with data.
func carry(from, to *os.File, delay time.Duration, sent *atomic.Int64) {
	type packet struct {
		data []byte
		due  time.Time
	}
	wire := make(chan packet, 4096)
	go func() {
		for p := range wire {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // a full queue loses packets, as anywhere
		}
	}()
	for {
		data := make([]byte, 2048)
		n, err := from.Read(data)
		if err != nil {
			close(wire)
			return
		}
		if hasData(data[:n]) {
			sent.Add(1)
		}
		wire <- packet{data[:n], time.Now().Add(delay)}
	}
}

// hasData reports whether a packet is TCP over IPv4, and more than headers.
func hasData(p []byte) bool {
	if len(p) < 40 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
		return false
	}
	ip := 4 * int(p[0]&15)
	return len(p) > ip+12 && len(p) > ip+4*int(p[ip+12]>>4)
}

// Namespace is a network namespace, held by one thread, and the device that is
// its only way out.
type Namespace struct {
	tun  *os.File
	work chan func()
}

func newNamespace(addr net.IP) (*Namespace, error) {
	ns := &Namespace{work: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the
		// namespace with both.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("a network namespace: %w (this needs root)", err)
		} else {
			ns.tun, err = newTUN(addr)
		}
		ready <- err
		for f := range ns.work {
			f()
		}
	}()
	return ns, <-ready
}

// Do runs f, and what it starts or opens, in the namespace.
func (ns *Namespace) Do(f func()) {
	done := make(chan struct{})
	ns.work <- func() { defer close(done); f() }
	<-done
}

func newTUN(addr net.IP) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq("delay0")
	if err != nil {
		return nil, err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	for _, step := range []struct {
		request uint
		set     func() error
	}{
		{unix.SIOCSIFADDR, func() error { return ifr.SetInet4Addr(addr.To4()) }},
		{unix.SIOCSIFNETMASK, func() error { return ifr.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFFLAGS, func() error { ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		if err := step.set(); err != nil {
			return nil, err
		}
		if err := unix.IoctlIfreq(socket, step.request, ifr); err != nil {
			return nil, fmt.Errorf("delay0: %w", err)
		}
	}
	return os.NewFile(uintptr(fd), "delay0"), nil
}
