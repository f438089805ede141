package recorder

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/lossy"
)

// newSource changes the SSRC of a track's packets at intervals.
type newSource struct {
	every   int  // frames
	numbers bool // and changes sequence numbers and timestamps

	mu     sync.Mutex
	frames int
	last   int // after so many changes it stays; 0: never
}

// stay keeps the source that is sent now, and reports whether it has sent two pictures: the first one of a new source waits for the
// second, also where the camera stalls.
func (n *newSource) stay() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == 0 {
		n.last = max(1, n.frames/n.every)
	}
	return n.frames >= n.last*n.every+2
}

// change changes the header of a packet of the video.
func (n *newSource) change(header []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	turns := n.frames / n.every
	if n.last > 0 {
		turns = min(turns, n.last)
	}
	if header[1]&0x80 != 0 { // its marker
		n.frames++
	}
	if n.numbers {
		binary.BigEndian.PutUint16(header[2:], binary.BigEndian.Uint16(header[2:])+uint16(turns*20_000))
		binary.BigEndian.PutUint32(header[4:], binary.BigEndian.Uint32(header[4:])+uint32(turns)<<30)
	}
	n.again(turns, header[8:])
}

func (n *newSource) again(turns int, ssrc []byte) {
	binary.BigEndian.PutUint32(ssrc, binary.BigEndian.Uint32(ssrc)+uint32(turns))
}

// changed is a connection with interleaved frames that newSource changes.
type changed struct {
	net.Conn
	video, audio *newSource
}

func (c changed) Write(b []byte) (int, error) {
	switch {
	case b[0] != frameMark:
	case b[1] == 0:
		c.video.change(b[frameHeader:])
	case b[1] == 2:
		c.audio.change(b[frameHeader:])
	}
	return c.Conn.Write(b)
}

// behindTLS returns the rtsps:// address of a TLS proxy for a camera without TLS.
func behindTLS(t *testing.T, pair tls.Certificate, camera *fakecam.Camera) string {
	t.Helper()
	host := hostOf(t, camera)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(group.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	group.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", host)
			if err != nil {
				_ = near.Close()
				return
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				group.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_, _ = way[0].Close(), way[1].Close()
				})
			}
		}
	})
	return strings.Replace(camera.URL(), "rtsp://"+host, "rtsps://"+listener.Addr().String(), 1)
}

// TestACameraMayTakeAnotherSSRC has encoders that restart in mid-session, or with each GOP.
func TestACameraMayTakeAnotherSSRC(t *testing.T) {
	t.Parallel()
	pair, leaf := selfSigned(t)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for name, numbers := range map[string]bool{"continues": false, "restarts": true} {
		for _, way := range []string{"TCP", "TLS", "UDP"} {
			t.Run(name+" over "+way, func(t *testing.T) {
				t.Parallel()
				const gop = 25
				video, audio := &newSource{every: gop, numbers: numbers}, &newSource{every: 20, numbers: numbers}
				tap := new(wiretap)
				o := fakecam.Options{FPS: 100, Audio: fakecam.AudioMuLaw, Oddities: fakecam.Oddities{Wire: tap.hook(every(gop), nil)}}
				if way != "UDP" {
					o.Conn = func(c net.Conn) net.Conn { return changed{c, video, audio} }
				}
				camera := startCamera(t, o)
				url, change := camera.URL(), func(o *Options) { cameraOf(o).Roots = roots }
				end := (*rig).settle
				switch way {
				case "TLS":
					url = behindTLS(t, pair, camera)
				case "UDP":
					proxy := lossy.New(t, hostOf(t, camera), func(p lossy.Packet) lossy.Fate {
						video.change(p.Header)
						return lossy.Pass
					})
					url, change = through(t, proxy, url), overUDP
					end = func(r *rig) {
						camera.Stall()
						r.await("the last packet", func() bool { return len(proxy.Events()) >= tap.packets() })
						r.finish()
					}
				}
				r := record(t, camera, url, change)
				r.awaitFrames(4 * gop)
				r.await("the second picture of the last source", video.stay)
				end(r)
				expectForward(t, r.expectAll())
				if n, lost := len(camera.Sessions()), r.number(health.FramesLost); n != 1 || lost != 0 {
					t.Errorf("%d sessions, %d frames lost", n, lost)
				}
			})
		}
	}
}

// haunted is a connection on which packets of an earlier session come between those of the current one.
type haunted struct{ net.Conn }

func (c haunted) Write(b []byte) (int, error) {
	if b[0] == frameMark && b[1] == 0 {
		ghost := bytes.Clone(b)
		binary.BigEndian.PutUint16(ghost[frameHeader+2:], binary.BigEndian.Uint16(ghost[frameHeader+2:])+20_000)
		binary.BigEndian.PutUint32(ghost[frameHeader+8:], 4711)
		if _, err := c.Conn.Write(ghost); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// TestTwoSourcesAtOnceAreAnEarlierSession records one of them, and says so.
func TestTwoSourcesAtOnceAreAnEarlierSession(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{FPS: 100, Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn { return haunted{c} }}})
	r := record(t, camera, camera.URL(), func(o *Options) { cameraOf(o).Limits.StallCheck = 100 * time.Millisecond })
	r.awaitCondition("an earlier session")
	r.awaitFrames(r.number(health.FramesRecorded) + 50)
	r.finish()
	expectForward(t, r.expectAll())
	if n, lost := len(camera.Sessions()), r.number(health.FramesLost); n != 1 || lost != 0 {
		t.Errorf("%d sessions, %d frames lost", n, lost)
	}
}
