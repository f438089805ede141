package udp

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// freePort returns a free port of a group, with the next one.
func freePort(t *testing.T) [2]int {
	t.Helper()
	sockets, err := Listen(netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.Close()
	first, second := sockets.Ports()
	return [2]int{first, second}
}

// TestAGroupIsJoinedWhereTheCameraIs sends to groups over loopback.
func TestAGroupIsJoinedWhereTheCameraIs(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	for name, g := range map[string]Group{
		"any source":          {Address: netip.MustParseAddr("239.83.1.7")},
		"a source of its own": {Address: netip.MustParseAddr("232.83.1.7"), Source: loopback},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.Ports, g.Local = freePort(t), loopback
			for range 2 { // as several streams, or agents, may record the same camera
				sockets, err := Join(g)
				if err != nil {
					t.Fatal(err)
				}
				defer sockets.Close()
				own := camera(t, "127.0.0.1")
				mustReach(t, own, netip.AddrPortFrom(g.Address, uint16(g.Ports[0])), sockets.rtp)
				mustReach(t, own, netip.AddrPortFrom(g.Address, uint16(g.Ports[1])), sockets.rtcp)
			}
		})
	}
}

// mustReach sends a packet to a group, which has to arrive.
func mustReach(t *testing.T, from *net.UDPConn, group netip.AddrPort, to *net.UDPConn) {
	t.Helper()
	raw, err := from.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, from, []byte("hello"), group)
	buffer := make([]byte, 100)
	_ = to.SetReadDeadline(time.Now().Add(patience))
	if n, sender, err := to.ReadFromUDPAddrPort(buffer); err != nil || string(buffer[:n]) != "hello" || sender != addressOfConn(from) {
		t.Errorf("%q from %v, %v", buffer[:n], sender, err)
	}
}

// TestJoiningNeedsNoNetlink forbids a thread what deploy/systemd/kvs-edge-agent.service forbids (RestrictAddressFamilies=), and
// joins groups on it.
func TestJoiningNeedsNoNetlink(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH == "386" {
		t.Skip("sockets are made by another system call")
	}
	failed := make(chan error)
	ports := freePort(t)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := forbidNetlink(); err != nil {
			failed <- err
			return
		}
		if fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE); err == nil {
			_ = unix.Close(fd)
			failed <- errors.New("netlink is not forbidden")
			return
		}
		loopback := netip.MustParseAddr("127.0.0.1")
		sockets, err := Join(Group{Address: netip.MustParseAddr("239.83.1.8"), Ports: ports, Local: loopback})
		if err == nil {
			sockets.Close()
		}
		failed <- err
	}()
	if err := await(t, "the thread", failed); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		t.Skip("this system has no filter of system calls: ", err)
	} else if err != nil {
		t.Error(err)
	}
}

// forbidNetlink makes the system refuse netlink sockets to this thread.
func forbidNetlink() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const number, firstArgument, refuse = 0, 16, unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: firstArgument},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
