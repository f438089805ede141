package lossy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// session is one RTSP connection. Requests and responses pass on goroutines of their own.
type session struct {
	proxy          *Proxy
	client, server net.Conn

	mu     sync.Mutex
	asked  map[string]*track // by the CSeq of their SETUP, until it is answered
	tracks []*track          // that play, in order of their SETUP
}

// close ends all tracks.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.asked {
		t.close()
	}
	for _, t := range s.tracks {
		t.close()
	}
}

var (
	clientPorts = regexp.MustCompile(`client_port=(\d+)-(\d+)`)
	serverPorts = regexp.MustCompile(`server_port=(\d+)-(\d+)`)
	sequenceOf  = regexp.MustCompile(`(?im)^CSeq: *(\d+)`)
	lengthOf    = regexp.MustCompile(`(?im)^Content-Length: *(\d+)`)
)

// request has the server send to the proxy what it would have sent to the client.
func (s *session) request(head string) (string, error) {
	ports := clientPorts.FindStringSubmatch(head)
	if !strings.HasPrefix(head, "SETUP ") || ports == nil {
		return head, nil
	}
	t, err := newTrack(host(s.client), ports[1:])
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[number(head)] = t
	return clientPorts.ReplaceAllString(head, "client_port="+t.towardsServer.ports()), nil
}

// response has the client send to the proxy what it would have sent to the server.
func (s *session) response(head string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.asked[number(head)]
	if t == nil {
		return head, nil
	}
	delete(s.asked, number(head))
	ports := serverPorts.FindStringSubmatch(head)
	if ports == nil { // refused
		t.close()
		return head, nil
	}
	decide := func(int, []byte) Fate { return Pass }
	if len(s.tracks) == 0 {
		decide = s.proxy.decide
	}
	s.tracks = append(s.tracks, t)
	if err := t.start(host(s.server), ports[1:], decide); err != nil {
		return "", err
	}
	head = clientPorts.ReplaceAllString(head, "client_port="+t.asked)
	return serverPorts.ReplaceAllString(head, "server_port="+t.towardsClient.ports()), nil
}

// number is the CSeq of a message, which its answer repeats.
func number(head string) string {
	if found := sequenceOf.FindStringSubmatch(head); found != nil {
		return found[1]
	}
	return ""
}

// host is the IP address at the other end of a connection.
func host(c net.Conn) net.IP { return c.RemoteAddr().(*net.TCPAddr).IP }

// pass copies RTSP messages, and frames in between, and has change look at the heads.
func pass(to io.Writer, from io.Reader, change func(head string) (string, error)) error {
	r := bufio.NewReader(from)
	for {
		first, err := r.Peek(1)
		if err != nil {
			return err
		}
		if first[0] == '$' { // RTP over the connection (RFC 2326, section 10.12)
			frame, err := r.Peek(4)
			if err != nil {
				return err
			}
			if _, err := io.CopyN(to, r, 4+int64(frame[2])<<8+int64(frame[3])); err != nil {
				return err
			}
			continue
		}
		var head strings.Builder
		for line := ""; line != "\r\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				return err
			}
			head.WriteString(line)
		}
		changed, err := change(head.String())
		if err != nil {
			return err
		}
		if _, err := io.WriteString(to, changed); err != nil {
			return err
		}
		if found := lengthOf.FindStringSubmatch(changed); found != nil {
			length, err := strconv.ParseInt(found[1], 10, 64)
			if err != nil {
				return err
			}
			if _, err := io.CopyN(to, r, length); err != nil {
				return err
			}
		}
	}
}

// pair is the sockets of RTP and RTCP, at a port and the next one.
type pair [2]*net.UDPConn

func newPair() (pair, error) {
	for range 100 {
		rtp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return pair{}, err
		}
		port := rtp.LocalAddr().(*net.UDPAddr).Port
		if port%2 == 0 {
			rtcp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
			if err == nil {
				return pair{rtp, rtcp}, nil
			}
		}
		_ = rtp.Close()
	}
	return pair{}, errors.New("there is no pair of UDP ports on loopback")
}

// ports are written as in a Transport header.
func (p pair) ports() string {
	port := p[0].LocalAddr().(*net.UDPAddr).Port
	return fmt.Sprintf("%d-%d", port, port+1)
}

func (p pair) close() {
	for _, conn := range p {
		_ = conn.Close()
	}
}
