package socket

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Right is what a peer needs for a request. Each right includes the previous ones.
type Right int

// The rights.
const (
	// Read is what everybody has who may open the socket: the agent's group.
	Read Right = iota
	// Operate changes recordings, uploads or settings: root and the agent's own user have it.
	Operate
)

// String returns the right's name as the documentation shows it.
func (r Right) String() string {
	if r == Operate {
		return "operate"
	}
	return "read"
}

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

// RightOf is the right of a connection's peer: on a unix socket by its user, as the kernel says, elsewhere to read.
// Source: unix(7), SO_PEERCRED.
func RightOf(conn net.Conn) Right {
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

// MaxConnections bounds the connections of those who may read, and again those of those who may operate, so that the one
// cannot keep the other out.
const MaxConnections = 64

// Beyond that, at most maxRejected at once receive the answer that the server is busy, each for at most rejectTimeout; the
// others are closed.
const (
	maxRejected     = 16
	rejectTimeout   = time.Second
	maxRejectedHead = 64 << 10 // bytes that are read of a request
)

// limited is a listener that bounds its open connections.
type limited struct {
	net.Listener
	most int
	busy string // the answer to a connection beyond the bound

	rejecting sync.WaitGroup // connections that receive the answer that the server is busy

	mu       sync.Mutex
	open     map[Right]int // guarded by mu
	rejected int           // number of those; guarded by mu
	closed   bool          // guarded by mu
}

// Bounded is a listener that bounds its open connections: those beyond it are answered with busy, a whole HTTP answer.
func Bounded(l net.Listener, busy string) net.Listener {
	return &limited{Listener: l, most: MaxConnections, busy: busy, open: make(map[Right]int)}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		right := RightOf(conn)
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
		answerBusy(conn, l.busy)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rejected--
	})
}

// answerBusy answers a request with busy, and closes the connection. Clients ignore an answer that comes before their
// request, and the rest of a request that is not read would cut off the answer.
func answerBusy(conn net.Conn, busy string) {
	defer func() { _ = conn.Close() }()
	now := time.Now()
	_ = conn.SetDeadline(now.Add(rejectTimeout))
	_ = conn.SetReadDeadline(now.Add(rejectTimeout / 2))
	_, _ = http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxRejectedHead)))
	if _, err := conn.Write([]byte(busy)); err != nil {
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
