package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// perBatch is how many packets are read by one call: half of what a camera of 4 Mbit/s sends between two instants.
const perBatch = 16

// batch reads several packets by one call (recvmmsg), where the system allows that, else one. One goroutine uses it.
// golang.org/x/net has such a call too, for sockets that the runtime's poller watches.
type batch struct {
	space    []byte // maxDatagram for each packet: only the pages that are filled take memory
	messages [perBatch]message
	vectors  [perBatch]unix.Iovec
	names    [perBatch]unix.RawSockaddrAny
	single   bool // the system refuses it

	name unix.RawSockaddrAny // of the last packet
	from netip.AddrPort      // the same
}

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	size   uint32
}

// prepare makes the space. It is not the heap's, which would be collected more seldom for all of it.
func (b *batch) prepare() (err error) {
	if b.space, err = unix.Mmap(-1, 0, perBatch*maxDatagram, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
		return err
	}
	_ = unix.Madvise(b.space, unix.MADV_NOHUGEPAGE) // a kernel without them refuses
	for i := range b.messages {
		b.vectors[i].Base = &b.space[i*maxDatagram]
		b.vectors[i].SetLen(maxDatagram)
		h := &b.messages[i].header
		h.Iov, h.Name = &b.vectors[i], (*byte)(unsafe.Pointer(&b.names[i]))
		h.SetIovlen(1)
	}
	return nil
}

func (b *batch) close() {
	if b.space != nil {
		_ = unix.Munmap(b.space)
	}
}

// read reads what a socket has, without waiting: EAGAIN says that it has nothing. packet returns each until the next read.
func (b *batch) read(fd int) (n int, err error) {
	if b.space == nil {
		if err := b.prepare(); err != nil {
			return 0, err
		}
	}
	for i := range b.messages[:b.most()] {
		b.messages[i].header.Namelen = unix.SizeofSockaddrAny
	}
	if b.single {
		size, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0].header)), unix.MSG_DONTWAIT)
		if errno != 0 {
			return 0, errno
		}
		b.messages[0].size = uint32(size)
		return 1, nil
	}
	read, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), perBatch, unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errors.Is(errno, unix.ENOSYS), errors.Is(errno, unix.EPERM): // an old kernel, or a filter of system calls
		b.single = true
		return b.read(fd)
	case errno != 0:
		return 0, errno
	}
	return int(read), nil
}

// most is how many packets one call reads.
func (b *batch) most() int {
	if b.single {
		return 1
	}
	return perBatch
}

// packet returns the packet with that index and its sender.
func (b *batch) packet(i int) ([]byte, netip.AddrPort) {
	if b.names[i] != b.name {
		b.name, b.from = b.names[i], addressOf(&b.names[i])
	}
	return b.space[i*maxDatagram:][:b.messages[i].size:maxDatagram], b.from
}

// addressOf reads a sender's address.
func addressOf(name *unix.RawSockaddrAny) netip.AddrPort {
	port := func(field *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(field))[:]) }
	switch name.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(name))
		from := netip.AddrFrom16(a.Addr)
		if from.IsLinkLocalUnicast() && a.Scope_id != 0 {
			from = from.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
		}
		return netip.AddrPortFrom(from, port(&a.Port))
	default:
		return netip.AddrPort{}
	}
}
