package wire

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

const (
	// writeLimit is how long a client may not read what it is sent.
	writeLimit = 10 * time.Second
	// maxBody bounds the body of a request.
	maxBody = 1 << 16
	// frameMark starts an interleaved frame (RFC 2326, section 10.12).
	frameMark = '$'
)

// conn is a connection, with at most one session.
type conn struct {
	server *Server
	socket net.Conn
	said   *script.Conversation
	tracks tracks
	ended  chan struct{}

	write sync.Mutex // held for each write into the socket

	player  Player
	stop    chan struct{} // closed to stop the player
	playing sync.WaitGroup
	plays   bool
	halting sync.Once
	heard   atomic.Int64 // when the required request last arrived, in ns since 1970
}

// run answers requests until the connection ends.
func (c *conn) run() {
	defer func() {
		_ = c.socket.Close() // unblocks a player that writes
		c.halt()
		c.tracks.close()
		if c.player != nil {
			c.player.Ended()
		}
	}()
	r := bufio.NewReader(c.socket)
	for {
		mark, err := r.Peek(1)
		if err != nil {
			return
		}
		if mark[0] == frameMark {
			if c.frame(r) != nil {
				return
			}
			continue
		}
		request, err := readRequest(r)
		if err != nil || !c.answer(request) {
			return
		}
	}
}

// frame skips an interleaved frame. RTCP may be what the camera requires.
func (c *conn) frame(r *bufio.Reader) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	if head[1]%2 == 1 {
		c.note(script.Reports)
	}
	_, err := r.Discard(int(head[2])<<8 | int(head[3]))
	return err
}

// note notes the arrival of something that the camera may require.
func (c *conn) note(what string) {
	if what == c.server.camera.File.Needs {
		c.heard.Store(time.Now().UnixNano())
	}
}

// readRequest reads a request, and skips its body.
func readRequest(r *bufio.Reader) (request script.Request, err error) {
	lines := textproto.NewReader(r)
	line, err := lines.ReadLine()
	for err == nil && line == "" {
		line, err = lines.ReadLine()
	}
	if err != nil {
		return request, err
	}
	if request.Header, err = lines.ReadMIMEHeader(); err != nil {
		return request, err
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return request, io.ErrUnexpectedEOF
	}
	request.Method, request.URL = words[0], words[1]
	if length, err := strconv.Atoi(request.Header.Get("Content-Length")); err == nil && length > 0 && length <= maxBody {
		if _, err := r.Discard(length); err != nil {
			return request, err
		}
	}
	return request, nil
}

// answer answers a request according to the script. It returns false when that ends the connection.
func (c *conn) answer(r script.Request) bool {
	c.note(r.Method)
	values := c.server.camera.Values()
	host, port, _ := net.SplitHostPort(c.socket.LocalAddr().String())
	values["host"], values["port"] = host, port
	var asked transport
	switch r.Method {
	case "SETUP":
		asked = c.tracks.ask(c, r.Header.Get("Transport"))
		maps.Copy(values, asked.values())
	case "PLAY":
		if c.player == nil {
			c.player = c.server.begin(c.tracks.payloadTypes())
		}
	}
	if c.player != nil {
		maps.Copy(values, c.player.Values())
	}
	a := c.said.Answer(r, values)
	if !c.rest(a.Wait) {
		return false
	}
	if a.Agreed && (r.Method == "PAUSE" || r.Method == "TEARDOWN") {
		c.halt()
	}
	if a.Bytes != nil && c.put(a.Bytes) != nil || a.Close {
		return false
	}
	if a.Agreed {
		c.carryOut(r, a, asked)
	}
	return true
}

// carryOut executes a request that was agreed to.
func (c *conn) carryOut(r script.Request, a script.Answer, asked transport) {
	switch r.Method {
	case "DESCRIBE":
		c.tracks.described = parseDescription(a.Bytes, c.server.camera.Codec)
	case "SETUP":
		c.tracks.set(r.URL, asked, headerOf(a.Bytes, "Transport"))
	case "PLAY":
		if !c.plays {
			c.plays = true
			c.playing.Go(func() { c.player.Play(c.send, c.stop) })
			if c.server.camera.File.Needs != "" {
				c.heard.Store(time.Now().UnixNano())
				c.playing.Go(c.need)
			}
		}
	}
}

// need hangs up when what the camera requires does not arrive.
func (c *conn) need() {
	within := c.server.camera.File.Within
	for {
		left := time.Until(time.Unix(0, c.heard.Load()).Add(within))
		if left <= 0 {
			c.hangUp()
			return
		}
		if !c.rest(left) {
			return
		}
	}
}

// rest waits, and returns false if the session ends meanwhile.
func (c *conn) rest(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.stop:
		return false
	}
}

// hangUp ends the connection.
func (c *conn) hangUp() {
	c.halting.Do(func() { close(c.stop) })
	_ = c.socket.Close()
}

// halt stops the player permanently, and waits for it.
func (c *conn) halt() {
	c.halting.Do(func() { close(c.stop) })
	c.playing.Wait()
}

// put writes to the connection.
func (c *conn) put(b []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.socket.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
		return err
	}
	_, err := c.socket.Write(b)
	return err
}

// send executes the steps of a track.
func (c *conn) send(track Track, steps []script.Step) (paused bool, err error) {
	way := c.tracks.way(track)
	for _, s := range steps {
		switch s.Kind {
		case script.Text:
			err = c.put(s.Bytes)
		case script.Pause:
			if paused = true; !c.rest(s.Wait) {
				return paused, net.ErrClosed
			}
		case script.HangUp:
			c.hangUp()
			return paused, net.ErrClosed
		default:
			if way != nil {
				err = way.send(c, s.Kind == script.RTCP, s.Bytes)
			}
		}
		if err != nil {
			return paused, err
		}
	}
	return paused, nil
}
