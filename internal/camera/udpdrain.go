package camera

import (
	"net"

	"golang.org/x/sys/unix"
)

const (
	// maxDatagram is the size of the largest one, in bytes.
	maxDatagram = 64 << 10
	// maxDrained bounds the packets that are taken out of a socket at the end of a session: as many
	// as the smallest frames of udpSpace, and no camera can keep us there.
	maxDrained = 16 << 10
)

// udpDrain is a second handle on the socket of a track over UDP. The RTSP library closes its own when
// a session ends, whatever has come there and was not read yet: a disk may have held us up.
type udpDrain struct {
	fd   int // -1: none
	ip   net.IP
	port int // whence the packets of the track come
}

// newUDPDrain keeps a socket's packets until close.
func newUDPDrain(conn *net.UDPConn, ip net.IP, port int) *udpDrain {
	d := &udpDrain{fd: -1, ip: ip, port: port}
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil { // else we do without
				d.fd = n
			}
		})
	}
	return d
}

// drain hands on what has come, in the order of its coming. The datagrams are the taker's.
func (d *udpDrain) drain(give func(datagram []byte)) {
	if d == nil || d.fd < 0 {
		return
	}
	buffer := make([]byte, maxDatagram)
	for range maxDrained {
		n, from, err := unix.Recvfrom(d.fd, buffer, unix.MSG_DONTWAIT)
		if err != nil { // EAGAIN: that was all
			return
		}
		if d.from(from) {
			give(append([]byte(nil), buffer[:n]...))
		}
	}
}

// from reports whether an address is that of the camera.
func (d *udpDrain) from(address unix.Sockaddr) bool {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return a.Port == d.port && d.ip.Equal(a.Addr[:])
	case *unix.SockaddrInet6:
		return a.Port == d.port && d.ip.Equal(a.Addr[:])
	default:
		return false
	}
}

func (d *udpDrain) close() {
	if d != nil && d.fd >= 0 {
		_ = unix.Close(d.fd)
		d.fd = -1
	}
}
