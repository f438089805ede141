package localapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rightKey is the key of a connection's right in its context.
type rightKey struct{}

// peerConn is a connection whose peer is known.
type peerConn struct {
	net.Conn
	right Right
	once  sync.Once
	freed func()
}

// Close implements net.Conn.
func (c *peerConn) Close() error {
	c.once.Do(c.freed)
	return c.Conn.Close()
}

// rightOf is the right of a connection's peer: on a unix socket by its user, as the kernel says, elsewhere to read.
// Source: unix(7), SO_PEERCRED.
func rightOf(conn net.Conn) Right {
	if known, ok := conn.(*peerConn); ok {
		return known.right
	}
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return Read
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return Read
	}
	right := Read
	_ = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			right = owner{os.Geteuid(), os.Getegid()}.rightOf(int(peer.Uid), append(groupsOf(fd), peer.Gid))
		}
	})
	return right
}

// owner is the user and the group that an agent runs as.
type owner struct{ uid, gid int }

// rightOf is the right of a user with these groups: released versions took everything from members of the agent's group. Others
// get to the socket only where somebody opened it for them. Groups that the service's user namespace does not know are all one,
// unmapped.
func (o owner) rightOf(uid int, groups []uint32) Right {
	const unmapped = 65534
	if uid == 0 || uid == o.uid || o.gid != unmapped && slices.Contains(groups, uint32(o.gid)) {
		return Operate
	}
	return Read
}

// groupsOf returns the supplementary groups of the peer of a unix socket, as the kernel knows them. Source: socket(7), SO_PEERGROUPS.
func groupsOf(fd uintptr) []uint32 {
	const common, most, size = 64, 1 << 16, 4 // most: NGROUPS_MAX
	groups := make([]uint32, common)
	for {
		length := uint32(len(groups) * size)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&length)), 0)
		switch {
		case errno == 0:
			return groups[:length/size]
		case errno == unix.ERANGE && len(groups) < most:
			groups = make([]uint32, most)
		default:
			return nil // a kernel before 4.13 does not know
		}
	}
}

// maxConnections bounds the connections of those who may read, and again those of those who may operate, so that the one
// cannot keep the other out.
const maxConnections = 64

// Beyond that, at most maxRejected at once receive busyAnswer, each for at most rejectTimeout; the others are closed.
const (
	maxRejected     = 16
	rejectTimeout   = time.Second
	maxRejectedHead = 64 << 10 // bytes that are read of a request
)

// busyAnswer is the answer to a connection beyond the bound. Source: RFC 9112.
var busyAnswer = strings.ReplaceAll(`HTTP/1.1 503 Service Unavailable
Content-Type: text/plain; charset=utf-8
`+errorHeader+`: `+codeBusy+`
Retry-After: 5
Connection: close

too many connections are open: try again in some seconds
`, "\n", "\r\n")

// limited is a listener that bounds its open connections.
type limited struct {
	net.Listener
	most int

	rejecting sync.WaitGroup // connections that receive busyAnswer

	mu       sync.Mutex
	open     map[Right]int // guarded by mu
	rejected int           // number of those; guarded by mu
	closed   bool          // guarded by mu
}

func newLimited(l net.Listener) *limited {
	return &limited{Listener: l, most: maxConnections, open: make(map[Right]int)}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		right := rightOf(conn)
		if l.take(right) {
			return &peerConn{Conn: conn, right: right, freed: func() { l.free(right) }}, nil
		}
		l.reject(conn)
	}
}

// reject answers that there are too many connections. It does not wait for that.
func (l *limited) reject(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.rejected >= maxRejected {
		_ = conn.Close()
		return
	}
	l.rejected++
	l.rejecting.Go(func() {
		answerBusy(conn)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rejected--
	})
}

// answerBusy answers a request with busyAnswer, and closes the connection. Clients ignore an answer that comes before their
// request, and the rest of a request that is not read would cut off the answer.
func answerBusy(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	now := time.Now()
	_ = conn.SetDeadline(now.Add(rejectTimeout))
	_ = conn.SetReadDeadline(now.Add(rejectTimeout / 2))
	_, _ = http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxRejectedHead)))
	if _, err := conn.Write([]byte(busyAnswer)); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = conn.SetReadDeadline(now.Add(rejectTimeout))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxRejectedHead))
	}
}

// Close implements net.Listener.
func (l *limited) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.rejecting.Wait()
	return err
}

func (l *limited) take(right Right) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[right] >= l.most {
		return false
	}
	l.open[right]++
	return true
}

func (l *limited) free(right Right) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[right]--
}
