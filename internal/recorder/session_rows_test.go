package recorder

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// recordedWhole records a camera, however odd, without a loss.
func recordedWhole(o fakecam.Options) func(*testing.T) {
	return func(t *testing.T) {
		camera := startCamera(t, o)
		r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = time.Second })
		r.awaitFrames(60)
		r.settle()
		r.expectAll()
		if n := r.number(health.FramesLost); n != 0 || len(camera.Sessions()) != 1 {
			t.Errorf("%d frames lost, %d sessions", n, len(camera.Sessions()))
		}
		r.mustPlay()
	}
}

func authDigest(t *testing.T) {
	for name, o := range map[string]fakecam.Oddities{
		"one nonce":            {},
		"each nonce good once": {NonceUses: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recordedWhole(fakecam.Options{User: "us er", Pass: "p@ss:w/rd%1", Oddities: o})(t)
		})
	}
}

// authWrong has a password that is wrong. Cameras lock accounts: the next try comes a minute later,
// whatever the pauses after other faults.
func authWrong(t *testing.T) {
	var mu sync.Mutex
	var heard bytes.Buffer
	var connections atomic.Int64
	camera := startCamera(t,
		fakecam.Options{User: "admin", Pass: "planted-secret", Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn {
			connections.Add(1)
			return eavesdropper{c, &mu, &heard}
		}}})
	r := onlyTheUserCanHelp(t, strings.Replace(camera.URL(), "planted-secret", "planted-wrong", 1), "refuses the user name or password")
	const watched = 3 * time.Second // dozens of the test's pauses after other faults
	if err := backoff.Sleep(t.Context(), watched); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if n, tries := connections.Load(), strings.Count(heard.String(), "\r\nAuthorization:"); n != 1 || tries != 1 {
		t.Errorf("the camera saw %d connections with %d passwords in %s, want one", n, tries, watched)
	}
	if DefaultPauses().Refused < time.Minute || r.number(health.Reconnects) != 0 {
		t.Errorf("it is tried every %s, %d times so far", DefaultPauses().Refused, r.number(health.Reconnects))
	}
}

func mjpegOnly(t *testing.T) {
	onlyTheUserCanHelp(t, startCamera(t, fakecam.Options{MJPEG: true}).URL(), "sends MJPEG, which cannot be recorded")
}

func audioOnly(t *testing.T) {
	camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC, Oddities: fakecam.Oddities{NoVideo: true}})
	onlyTheUserCanHelp(t, camera.URL(), "sends no video")
}

func h265Camera(t *testing.T) {
	for name, o := range map[string]fakecam.Options{
		"sets in the SDP": {H265: true},
		"sets in band":    {H265: true, NoSDPParams: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recordedWhole(o)(t)
		})
	}
}

// mustPlay checks all segments with a strict reader and with independent tools.
func (r *rig) mustPlay() {
	r.t.Helper()
	testtools.Need(r.t, "ffmpeg", "ffprobe", "mkvinfo")
	paths, err := filepath.Glob(filepath.Join(r.dir, r.stream, "*.mkv"))
	if err != nil || len(paths) == 0 {
		r.t.Fatal(paths, err)
	}
	for _, path := range paths {
		mustBeStrict(r.t, path)
		if late := r.late(); late > 100*time.Millisecond {
			r.t.Logf("the machine was late by %s", late)
			decodeBut(r.t, path, squeezed, "-f", "null")
		} else {
			mustBeClean(r.t, path)
		}
	}
}

// mustMux is mustPlay for tests whose pictures need no check: decoding them takes most of its time.
func (r *rig) mustMux() {
	r.t.Helper()
	testtools.Need(r.t, "ffmpeg")
	const probeSize = "50M" // to determine the frame rate: a huge frame alone fills the default of 5 MB
	for _, path := range r.files() {
		mustBeStrict(r.t, path)
		if out, err := exec.Command("ffmpeg", "-v", "warning", "-probesize", probeSize, "-guess_layout_max", "0", "-i", path, "-c", "copy",
			"-f", "null", "-").CombinedOutput(); err != nil || len(out) > 0 {
			r.t.Errorf("ffmpeg: %v %s", err, out)
		}
	}
}

// mustBeStrict reads a file as PutMedia does.
func mustBeStrict(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader := strictmkv.NewReader(f, strictmkv.Options{})
	for {
		if _, err := reader.Next(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			return
		}
	}
}

// noisy inserts bytes between interleaved frames: text, and frames of unknown channels.
type noisy struct {
	net.Conn
	writes int
}

func garbage(c net.Conn) net.Conn { return &noisy{Conn: c} }

func (c *noisy) Write(b []byte) (int, error) {
	if c.writes++; c.writes%20 == 19 && b[0] == '$' {
		if _, err := c.Conn.Write([]byte("\x00\x01temp=21\r\n\r\n$\x2a\x00\x04abcd")); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

func describeRedirect(t *testing.T) {
	other := startCamera(t, fakecam.Options{})
	camera := startCamera(t, fakecam.Options{User: "admin", Pass: "secret", Oddities: fakecam.Oddities{Redirect: other.URL}})
	r := record(t, other, camera.URL())
	r.awaitFrames(30)
	r.settle()
	r.expectAll()

	var self atomic.Pointer[fakecam.Camera]
	lost := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Redirect: func() string { return self.Load().URL() }}})
	self.Store(lost)
	endless := record(t, lost, lost.URL())
	if c := endless.awaitCondition("from one address to the next"); c.Class != health.UserError {
		t.Errorf("%+v", c)
	}

	// From rtsp:// to rtsps:// is accepted. The other way would show the password to the network.
	pair, leaf := selfSigned(t)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	trusting := func(o *Options) { cameraOf(o).Roots = roots }
	plain := startCamera(t, fakecam.Options{})
	safe := startCamera(t, fakecam.Options{NoUDP: true, Oddities: fakecam.Oddities{TLS: &pair}})
	up := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Redirect: safe.URL}})
	record(t, safe, up.URL(), trusting).awaitFrames(30)
	down := startCamera(t, fakecam.Options{NoUDP: true, Oddities: fakecam.Oddities{TLS: &pair, Redirect: plain.URL}})
	record(t, plain, down.URL(), trusting).awaitCondition("camera at")
	if n := len(plain.Sessions()); n != 0 {
		t.Errorf("%d sessions without TLS", n)
	}
}

var sessionHeader = regexp.MustCompile(`(Session: [^\r;]+)(;timeout=\d+)?\r\n`)

// eavesdropper notes the methods of requests, and shortens the session's time-out.
type eavesdropper struct {
	net.Conn
	mu    *sync.Mutex
	heard *bytes.Buffer
}

func (e eavesdropper) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard.Write(b[:n])
	return n, err
}

func (e eavesdropper) Write(b []byte) (int, error) {
	n := len(b)
	if bytes.HasPrefix(b, []byte("RTSP/1.0")) {
		b = sessionHeader.ReplaceAll(b, []byte("$1;timeout=2\r\n"))
	}
	_, err := e.Conn.Write(b)
	return n, err
}

func keepaliveOdd(t *testing.T) {
	var mu sync.Mutex
	var heard bytes.Buffer
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{
		NoKeepalive: true,
		Conn:        func(c net.Conn) net.Conn { return eavesdropper{c, &mu, &heard} },
	}})
	r := record(t, camera, camera.URL())
	r.await("both keepalives", func() bool {
		mu.Lock()
		defer mu.Unlock()
		_, after, _ := strings.Cut(heard.String(), "GET_PARAMETER ")
		return strings.Contains(after, "OPTIONS ")
	})
	r.expectOneSession()
}

func camHourlyDrop(t *testing.T) {
	camera := startCamera(t, fakecam.Options{FPS: 50, Oddities: fakecam.Oddities{Lifetime: 1500 * time.Millisecond}})
	limit := timely(t, 2*time.Second)
	r := record(t, camera, camera.URL())
	r.await("sessions", func() bool { return len(camera.Sessions()) >= 4 })
	r.settle()
	frames := r.expectAll()
	expectForward(t, frames)
	for i := 1; i < len(frames); i++ {
		d, sent := frames[i].time.Sub(frames[i-1].time), frames[i].sent.Sub(frames[i-1].sent)
		if (d - sent).Abs() > limit() {
			t.Errorf("frame %d comes %s after the previous one, but was sent %s after it", i, d, sent)
		}
	}
	if gaps, n := r.number(health.Gaps), int64(len(camera.Sessions())); gaps < n-2 || gaps >= n {
		t.Errorf("%d gaps in %d sessions", gaps, n)
	}
}

func camStall(t *testing.T) {
	const limit = 2 * time.Second
	camera := startCamera(t, fakecam.Options{})
	r := record(t, camera, camera.URL(), stallsAfter(limit))
	r.awaitFrames(30)
	camera.Stall()
	stalled := time.Now()
	r.awaitCondition("sends no video")
	if d := time.Since(stalled); d < limit/2 || d > limit+10*time.Second+4*r.late() { // the machine may be busy
		t.Errorf("found after %s", d)
	}
	camera.Resume()
	r.awaitFrames(r.number(health.FramesRecorded) + 30)
	r.settle()
	r.expectAll()
}

// thin is a connection on which the first packets are slow.
type thin struct {
	net.Conn
	packets *int
	pause   func()
}

func (c thin) Write(b []byte) (int, error) {
	if *c.packets > 0 && b[0] == '$' {
		*c.packets--
		c.pause()
	}
	return c.Conn.Write(b)
}

// TestAPictureThatComesSlowlyIsNoSilence has a first picture that takes longer than a session may have
// no video.
func TestAPictureThatComesSlowlyIsNoSilence(t *testing.T) {
	t.Parallel()
	const packets = 50
	const limit = 3 * time.Second
	left := packets
	pause := func() { _ = backoff.Sleep(t.Context(), (limit+limit*3/10)/packets) }
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{
		Wire: inserting(func(p fakecam.Packet) [][]byte {
			if p.Frame != 0 {
				return nil
			}
			return message(packets * 1400)
		}),
		Conn: func(c net.Conn) net.Conn { return thin{c, &left, pause} },
	}})
	r := record(t, camera, camera.URL(), stallsAfter(limit))
	r.awaitFrames(30)
	r.expectOneSession()
}

// late sends a frame of an earlier session before anything else.
type late struct {
	net.Conn
	once *sync.Once
}

func (l late) Write(b []byte) (int, error) {
	var err error
	l.once.Do(func() { _, err = l.Conn.Write([]byte("$\x00\x00\x04abcd")) })
	if err != nil {
		return 0, err
	}
	return l.Conn.Write(b)
}

func staleSession(t *testing.T) {
	var connections atomic.Int64
	connected := make(chan time.Time, 10)
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn {
		connected <- time.Now()
		if connections.Add(1) > 2 {
			return c
		}
		return late{c, new(sync.Once)}
	}}})
	const pause = 300 * time.Millisecond
	r := record(t, camera, camera.URL(), func(o *Options) { o.Pauses.Stale = pause })
	r.awaitCondition("of an earlier session")
	r.awaitFrames(10)
	_, second, third := <-connected, <-connected, <-connected
	if d := third.Sub(second); d < pause {
		t.Errorf("only %s later it was tried again", d)
	}

	// Each session is torn down, so that no camera keeps one.
	var mu sync.Mutex
	var heard bytes.Buffer
	attentive := startCamera(t,
		fakecam.Options{Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn { return eavesdropper{c, &mu, &heard} }}})
	ended := record(t, attentive, attentive.URL())
	ended.awaitFrames(10)
	ended.finish()
	ended.await("TEARDOWN", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(heard.String(), "\nTEARDOWN ")
	})
}

func TestTransports(t *testing.T) {
	t.Parallel()
	var udpOnly atomic.Bool
	udpOnly.Store(true)
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Refuse: func(udp bool) bool { return udp != udpOnly.Load() }}})
	r := record(t, camera, camera.URL())
	r.awaitFrames(30) // over UDP
	udpOnly.Store(false)
	camera.Drop()
	r.awaitFrames(r.number(health.FramesRecorded) + 60) // and back
	if c := r.part.Snapshot().Conditions; len(c) > 0 {
		t.Errorf("still says %+v", c)
	}
	for _, transport := range []string{transportTCP, transportUDP} {
		wrong := startCamera(t,
			fakecam.Options{Oddities: fakecam.Oddities{Refuse: func(udp bool) bool { return udp == (transport == transportUDP) }}})
		set := record(t, wrong, wrong.URL(), func(o *Options) { cameraOf(o).Transport = transport })
		set.awaitCondition("AWS_KVS_EDGE_RTSP_TRANSPORT")
	}
}

// selfSigned makes a certificate for loopback.
func selfSigned(t *testing.T) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf
}

func certSelfSigned(t *testing.T) {
	pair, leaf := selfSigned(t)
	sum := sha256.Sum256(leaf.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	camera := startCamera(t, fakecam.Options{User: "admin", Pass: "secret", NoUDP: true, Oddities: fakecam.Oddities{TLS: &pair}})
	other := strings.Repeat("0f", sha256.Size)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for name, c := range map[string]struct {
		query    string
		roots    *x509.CertPool
		sentence string // "": it is recorded
	}{
		"refused":           {"", nil, fingerprint},
		"pinned":            {"?fingerprint=" + fingerprint, nil, ""},
		"as openssl prints": {"?fingerprint=" + strings.ToUpper(fingerprint[:2]+":"+fingerprint[2:]), nil, ""},
		"another is pinned": {"?fingerprint=" + other, nil, "not the pinned one but has the fingerprint " + fingerprint},
		"no fingerprint":    {"?fingerprint=12", nil, "64 hexadecimal digits"},
		"private CA":        {"", roots, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := record(t, camera, camera.URL()+c.query, func(o *Options) { cameraOf(o).Roots = c.roots })
			if c.sentence == "" {
				r.awaitFrames(30)
				return
			}
			if got := r.awaitCondition(c.sentence); got.Class != health.UserError {
				t.Errorf("%+v", got)
			}
		})
	}
}
