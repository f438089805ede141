package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// UserOf is the number of the user of a connection's peer, as the kernel says; ok is false on anything but a unix socket. Source: unix(7),
// SO_PEERCRED.
func UserOf(conn net.Conn) (uid int, ok bool) {
	if known, is := conn.(*peerConn); is {
		conn = known.Conn
	}
	local, is := conn.(*net.UnixConn)
	if !is {
		return 0, false
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, ok = int(peer.Uid), true
		}
	})
	return uid, ok
}
