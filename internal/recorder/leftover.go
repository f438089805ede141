package recorder

import (
	"net"

	"golang.org/x/sys/unix"
)

const (
	// maxDatagram is the size of the largest one, in bytes.
	maxDatagram = 64 << 10
	// maxLeftover bounds the packets that are taken out of a socket at the end of a session: as many
	// as the smallest frames of udpSpace, and no camera can keep us there.
	maxLeftover = 16 << 10
)

// leftover is a second handle on the socket of a track over UDP. The RTSP library closes its own when
// a session ends, whatever has come there and was not read yet: a disk may have held us up.
type leftover struct {
	fd   int // -1: none
	ip   net.IP
	port int // whence the packets of the track come
}

// newLeftover keeps a socket's packets until close.
func newLeftover(conn *net.UDPConn, ip net.IP, port int) *leftover {
	l := &leftover{fd: -1, ip: ip, port: port}
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil { // else we do without
				l.fd = n
			}
		})
	}
	return l
}

// take gives out what has come, in the order of its coming. The datagrams are the taker's.
func (l *leftover) take(give func(datagram []byte)) {
	if l == nil || l.fd < 0 {
		return
	}
	buffer := make([]byte, maxDatagram)
	for range maxLeftover {
		n, from, err := unix.Recvfrom(l.fd, buffer, unix.MSG_DONTWAIT)
		if err != nil { // EAGAIN: that was all
			return
		}
		if l.from(from) {
			give(append([]byte(nil), buffer[:n]...))
		}
	}
}

// from reports whether an address is that of the camera.
func (l *leftover) from(address unix.Sockaddr) bool {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return a.Port == l.port && l.ip.Equal(a.Addr[:])
	case *unix.SockaddrInet6:
		return a.Port == l.port && l.ip.Equal(a.Addr[:])
	default:
		return false
	}
}

func (l *leftover) close() {
	if l != nil && l.fd >= 0 {
		_ = unix.Close(l.fd)
		l.fd = -1
	}
}
