package fakecam

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// port is a bound TCP socket that never listens. While an unplugged camera does not listen,
// connections to its port are refused, but no other process is given the port.
type port struct {
	socket  int
	address *net.TCPAddr
}

// holdPort reserves the port of an address, or any free port for 0. It must be called before
// listening: a port with a listener cannot be bound any more.
func holdPort(address *net.TCPAddr) (*port, error) {
	family, name := syscall.AF_INET, syscall.Sockaddr(nil)
	if ip := address.IP.To4(); ip != nil {
		name = &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(ip)}
	} else {
		family = syscall.AF_INET6
		name = &syscall.SockaddrInet6{Port: address.Port, Addr: [16]byte(address.IP.To16())}
	}
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("the camera gets no socket: %w", os.NewSyscallError("socket", err))
	}
	// With this option, which Go's listeners set too, one more socket may bind the port.
	if err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(socket, name)
	}
	if err == nil {
		name, err = syscall.Getsockname(socket)
	}
	if err != nil {
		syscall.Close(socket)
		return nil, fmt.Errorf("the camera cannot have the address %v: %w", address, os.NewSyscallError("bind", err))
	}
	held := &port{socket, &net.TCPAddr{IP: address.IP}}
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		held.address.Port = name.Port
	case *syscall.SockaddrInet6:
		held.address.Port = name.Port
	}
	return held, nil
}

func (p *port) release() error {
	return os.NewSyscallError("close", syscall.Close(p.socket))
}
