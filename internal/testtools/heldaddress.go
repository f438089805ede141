package testtools

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// HeldAddress is host:port on a loopback address of IPv4 with a port that nobody gets by chance until the test ends: a socket is bound to
// it and does not listen. So connections to it are refused, until a process that sets SO_REUSEADDR, as Go does, listens there.
func HeldAddress(tb testing.TB, host string) string {
	tb.Helper()
	held, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(held) })
	ip, err := netip.ParseAddr(host)
	if err == nil {
		err = syscall.SetsockoptInt(held, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = syscall.Bind(held, &syscall.SockaddrInet4{Addr: ip.As4()})
	}
	if err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(held)
	address, ok := name.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		tb.Fatal(name, err)
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(address.Port))).String()
}
