//go:build !linux

package vault

import "net"

func cork(net.Conn, bool) {}
