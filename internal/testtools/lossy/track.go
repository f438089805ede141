package lossy

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// overtaken is how many packets overtake one that is late.
	overtaken = 3
	// quiet is how long a late packet waits for them.
	quiet = 50 * time.Millisecond
	// maxDatagram is the size of the largest one, in bytes.
	maxDatagram = 1 << 16
	// socketSpace is the requested size of socket buffers in bytes, so that only the plan loses packets.
	socketSpace = 4 << 20
)

// track relays RTP and RTCP of one track, both ways.
type track struct {
	asked                        string          // client_port, as the client gave it
	client, server               [2]*net.UDPAddr // of RTP and RTCP
	towardsClient, towardsServer pair
	group                        sync.WaitGroup
}

func newTrack(client net.IP, ports []string) (*track, error) {
	t := &track{asked: strings.Join(ports, "-")}
	var err error
	if t.client, err = addresses(client, ports); err != nil {
		return nil, err
	}
	if t.towardsClient, err = newPair(); err != nil {
		return nil, err
	}
	if t.towardsServer, err = newPair(); err != nil {
		t.towardsClient.close()
		return nil, err
	}
	return t, nil
}

func addresses(ip net.IP, ports []string) (a [2]*net.UDPAddr, err error) {
	for i, text := range ports {
		port, bad := strconv.Atoi(text)
		err = errors.Join(err, bad)
		a[i] = &net.UDPAddr{IP: ip, Port: port}
	}
	return a, err
}

// start relays until close.
func (t *track) start(server net.IP, ports []string, decide func(index int, datagram []byte) Fate) error {
	var err error
	if t.server, err = addresses(server, ports); err != nil {
		return err
	}
	_ = t.towardsServer[0].SetReadBuffer(socketSpace)
	t.group.Go(func() { t.relayRTP(decide) })
	t.group.Go(func() { relay(t.towardsClient[1], t.client[1], t.towardsServer[1]) })
	for i := range t.server {
		t.group.Go(func() { relay(t.towardsServer[i], t.server[i], t.towardsClient[i]) })
	}
	return nil
}

func (t *track) close() {
	t.towardsClient.close()
	t.towardsServer.close()
	t.group.Wait()
}

// relay sends what one socket gets on through another one.
func relay(through *net.UDPConn, to *net.UDPAddr, from *net.UDPConn) {
	buffer := make([]byte, maxDatagram)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		_, _ = through.WriteToUDP(buffer[:n], to)
	}
}

// late is a packet that is still to come.
type late struct {
	datagram []byte
	after    int // packets
}

// relayRTP is relay for what the server sends, with the faults.
func (t *track) relayRTP(decide func(index int, datagram []byte) Fate) {
	from := t.towardsServer[0]
	send := func(datagram []byte) { _, _ = t.towardsClient[0].WriteToUDP(datagram, t.client[0]) }
	var waiting []late
	buffer := make([]byte, maxDatagram)
	for index := 0; ; index++ {
		deadline := time.Time{}
		if len(waiting) > 0 {
			deadline = time.Now().Add(quiet)
		}
		_ = from.SetReadDeadline(deadline)
		n, err := from.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			for _, l := range waiting {
				send(l.datagram)
			}
			waiting = waiting[:0]
			index--
			continue
		}
		if err != nil {
			return
		}
		switch decide(index, buffer[:n]) {
		case Drop:
			continue
		case Late:
			waiting = append(waiting, late{slices.Clone(buffer[:n]), overtaken})
			continue
		case Double:
			send(buffer[:n])
		}
		send(buffer[:n])
		for i := range waiting {
			if waiting[i].after--; waiting[i].after == 0 {
				send(waiting[i].datagram)
			}
		}
		waiting = slices.DeleteFunc(waiting, func(l late) bool { return l.after == 0 })
	}
}
