package vault

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// cork makes the kernel hold back (for at most 200 ms) what is written to c
// until a packet is full, or sends what it held. Twenty small frames sent one
// by one overrun the initial congestion window and cost a round trip.
func cork(c net.Conn, on bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	value := 0
	if on {
		value = 1
	}
	// Without the option the requests go out one by one, as they would anyway.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, value)
	})
}
