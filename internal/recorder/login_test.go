package recorder

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	gateUser     = `us"er`
	gatePassword = "planted-p@ss"

	gateSilence = "silence"
	gateHangUp  = "hang up"
)

// gate is a proxy in front of a camera without a password, and asks for one in its own way. It answers the requests that it does
// not pass on, and notes all passwords that it received.
type gate struct {
	t        *testing.T
	listener net.Listener
	camera   string // host and port
	path     string
	// refuse returns the head of an answer, without CSeq; "" passes the request on; gateSilence and gateHangUp: no answer is sent. n counts
	// the requests of a connection.
	refuse func(n int, method, uri, authorization string) string

	mu    sync.Mutex
	given []string // the Authorization headers received
	seen  int      // requests
}

func newGate(t *testing.T, camera *fakecam.Camera, refuse func(n int, method, uri, authorization string) string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	g := &gate{t: t, listener: listener, refuse: refuse}
	if camera != nil {
		_, rest, _ := strings.Cut(camera.URL(), "://")
		g.camera, g.path, _ = strings.Cut(rest, "/")
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.serve(conn)
		}
	}()
	return g
}

// url is that of the gate, with the user and a password.
func (g *gate) url(password string) string {
	return "rtsp://us%22er:" + strings.ReplaceAll(password, "@", "%40") + "@" + g.address() + "/" + g.path
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) passwords() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.given...)
}

func (g *gate) serve(conn net.Conn) {
	defer conn.Close()
	var behind net.Conn
	if g.camera != "" {
		var err error
		if behind, err = net.Dial("tcp", g.camera); err != nil {
			return
		}
		defer behind.Close()
		go func() { _, _ = io.Copy(conn, behind); _ = conn.Close() }()
	}
	r := bufio.NewReader(conn)
	for n := 1; ; n++ {
		first, err := r.Peek(1)
		if err != nil {
			return
		}
		if first[0] == '$' { // RTCP
			head, err := r.Peek(4)
			if err != nil {
				return
			}
			if _, err := r.Discard(4 + int(head[2])<<8 + int(head[3])); err != nil {
				return
			}
			continue
		}
		line, err := textproto.NewReader(r).ReadLine()
		if err != nil {
			return
		}
		header, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil {
			return
		}
		words := strings.Fields(line)
		g.mu.Lock()
		g.seen++
		if a := header.Get("Authorization"); a != "" {
			g.given = append(g.given, a)
		}
		g.mu.Unlock()
		if answer := g.refuse(n, words[0], words[1], header.Get("Authorization")); answer != "" {
			switch answer {
			case gateSilence:
				continue
			case gateHangUp:
				return
			}
			fmt.Fprintf(conn, "RTSP/1.0 %s\r\nCSeq: %s\r\n\r\n", answer, header.Get("CSeq"))
			continue
		}
		if behind == nil {
			return
		}
		header.Del("Authorization")
		text := line + "\r\n"
		for name, values := range header {
			text += name + ": " + values[0] + "\r\n"
		}
		if _, err := io.WriteString(behind, text+"\r\n"); err != nil {
			return
		}
	}
}

// params takes a Digest apart as strictly as a camera may: unlike the agent's own parser it is not lenient.
var params = regexp.MustCompile(`([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9-]+))`)

func digestParams(authorization string) map[string]string {
	list := make(map[string]string)
	for _, m := range params.FindAllStringSubmatch(authorization, -1) {
		list[m[1]] = m[2] + m[3]
	}
	return list
}

func md5Sum(s string) string    { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
func sha256Sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// right reports whether a Digest matches the password.
func right(authorization, method, uri, realm, password string, sum func(string) string, session bool) bool {
	p := digestParams(authorization)
	a1 := sum(gateUser + ":" + realm + ":" + password)
	if session {
		a1 = sum(a1 + ":" + p["nonce"] + ":" + p["cnonce"])
	}
	a2 := method + ":" + uri
	proof := p["nonce"]
	switch p["qop"] {
	case "auth-int":
		a2 += ":" + sum("")
		fallthrough
	case "auth":
		proof += ":" + p["nc"] + ":" + p["cnonce"] + ":" + p["qop"]
	}
	return strings.HasPrefix(authorization, "Digest ") && p["uri"] == uri && p["realm"] == realm &&
		strings.ReplaceAll(p["username"], `\`, "") == gateUser && p["response"] == sum(a1+":"+proof+":"+sum(a2))
}

// quotedRealm is a realm as written between its quotes, which is what the hash is made of.
const quotedRealm = `a, \"b\" \\ c`

// challenges are the challenges of cameras, with status 401, and the parameters of the answer.
var challenges = map[string]struct {
	challenge string
	sum       func(string) string
	session   bool
	realm     string
	want      map[string]string // parameters
}{
	"as in RFC 2069": {`Digest realm="cam", nonce="n1"`, md5Sum, false, "cam", map[string]string{"qop": "", "nc": ""}},
	"qop": {
		`Digest realm="cam", nonce="n1", qop="auth", algorithm=MD5`,
		md5Sum, false, "cam", map[string]string{"qop": "auth"},
	},
	"qop of several": {
		`Digest realm="cam", qop="auth-int,auth", nonce="n1"`,
		md5Sum, false, "cam", map[string]string{"qop": "auth"},
	},
	"qop without quotes": {`Digest realm="cam", qop=auth,auth-int, nonce="n1"`, md5Sum, false, "cam", map[string]string{"qop": "auth"}},
	"whole messages":     {`Digest realm="cam", nonce="n1", qop="auth-int"`, md5Sum, false, "cam", map[string]string{"qop": "auth-int"}},
	"opaque": {
		`Digest realm="cam", nonce="n1", opaque="5c==,\"x"`,
		md5Sum, false, "cam", map[string]string{"opaque": `5c==,\"x`},
	},
	"SHA-256": {
		`Digest realm="cam", nonce="n1", algorithm=SHA-256, qop="auth"`,
		sha256Sum, false, "cam", map[string]string{"algorithm": "SHA-256"},
	},
	"SHA-256 of a session": {`Digest realm="cam", nonce="n1", algorithm="SHA-256-sess", qop="auth"`, sha256Sum, true, "cam", nil},
	"MD5 of a session":     {`Digest realm="cam", nonce="n1", algorithm=md5-SESS`, md5Sum, true, "cam", nil},
	"scheme in lower case": {`digest Realm="cam", NONCE="n1"`, md5Sum, false, "cam", nil},
	"scheme in upper case": {`DIGEST realm="cam",nonce="n1"`, md5Sum, false, "cam", nil},
	"commas in quotes": {`Digest realm="` + quotedRealm + `", nonce="n,1"`, md5Sum, false, quotedRealm,
		map[string]string{"nonce": "n,1"}},
	"no quotes":               {`Digest realm=my cam, nonce=n1`, md5Sum, false, "my cam", nil},
	"spaces":                  {"Digest \t realm = \"cam\" ,, nonce\t=\"n1\" ,", md5Sum, false, "cam", nil},
	"Basic before, one line":  {`Basic realm="x", Digest realm="cam", nonce="n1"`, md5Sum, false, "cam", nil},
	"Basic behind, one line":  {`Digest realm="cam", nonce="n1", Basic realm="x"`, md5Sum, false, "cam", nil},
	"no comma between":        {`Digest realm="cam", nonce="n1" Basic realm="x"`, md5Sum, false, "cam", nil},
	"Basic in another header": {"Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n1\"", md5Sum, false, "cam", nil},
	"the better of two": {
		"Digest realm=\"cam\", nonce=\"n1\"\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n2\", algorithm=SHA-256",
		sha256Sum, false, "cam", map[string]string{"nonce": "n2"},
	},
	"one of two known": {
		"Digest realm=\"cam\", nonce=\"n1\", algorithm=SHA-512-256\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n2\"",
		md5Sum, false, "cam", map[string]string{"nonce": "n2"},
	},
	"only the weaker hash works": {
		"Digest realm=\"cam\", nonce=\"n1\", algorithm=SHA-256\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n1\", algorithm=MD5",
		md5Sum, false, "cam", nil,
	},
	"SHA256":        {`Digest realm="cam", nonce="n1", algorithm="SHA256"`, sha256Sum, false, "cam", nil},
	"token schemes": {`Negotiate, NTLM abc==, Digest realm="cam", nonce="n1"`, md5Sum, false, "cam", nil},
}

// TestChallengesAreAnswered records cameras that ask for the password in all known ways.
func TestChallengesAreAnswered(t *testing.T) {
	t.Parallel()
	for name, row := range challenges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{NoUDP: true})
			counts := make(map[string]bool)
			g := newGate(t, camera, func(_ int, method, uri, authorization string) string {
				if right(authorization, method, uri, row.realm, gatePassword, row.sum, row.session) {
					p := digestParams(authorization)
					if nc := p["nc"]; counts[nc] && nc != "" {
						t.Errorf("nc=%s comes twice", nc)
					} else {
						counts[nc] = true
					}
					return ""
				}
				return "401 Unauthorized\r\nWWW-Authenticate: " + row.challenge
			})
			r := record(t, camera, g.url(gatePassword))
			r.awaitFrames(10)
			given := g.passwords()
			if len(given) == 0 {
				t.Fatal("no password was sent")
			}
			for key, want := range row.want {
				if got := digestParams(given[0])[key]; got != want {
					t.Errorf("%s is %q, want %q: %s", key, got, want, given[0])
				}
			}
			for _, one := range given {
				if strings.HasPrefix(one, "Basic") {
					t.Errorf("Basic was sent beside Digest: %s", one)
				}
			}
		})
	}
}

// TestNoncesWearOut has cameras that accept each nonce once, then say that it is stale, and that protect SETUP and PLAY only.
func TestNoncesWearOut(t *testing.T) {
	t.Parallel()
	for name, stale := range map[string]string{"told": `, stale=TRUE`, "not told": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{NoUDP: true})
			var mu sync.Mutex
			nonce, used := 0, false
			g := newGate(t, camera, func(_ int, method, uri, authorization string) string {
				mu.Lock()
				defer mu.Unlock()
				if method == "OPTIONS" || method == "DESCRIBE" && nonce == 0 {
					return ""
				}
				current := fmt.Sprintf("n%d", nonce)
				if p := digestParams(authorization); !used && p["nonce"] == current &&
					right(authorization, method, uri, "cam", gatePassword, md5Sum, false) {
					used = true
					return ""
				}
				nonce, used = nonce+1, false
				return fmt.Sprintf("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", qop=\"auth\", nonce=\"n%d\"%s", nonce, stale)
			})
			record(t, camera, g.url(gatePassword)).awaitFrames(10)
		})
	}
}

// TestAWrongPasswordIsTriedOnce has cameras that refuse the password, with any challenge: they lock accounts. Where another hash is
// offered, the camera may not really know the first one.
func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]string{
		"Basic":            `Basic realm="cam"`,
		"Digest":           `Digest realm="cam", nonce="n1", qop="auth"`,
		"a nonce each":     `Digest realm="cam", nonce="%d", qop="auth"`,
		"Digest and Basic": "Digest realm=\"cam\", nonce=\"%d\"\r\nWWW-Authenticate: Basic realm=\"cam\"",
		"SHA-256 and MD5":  "Digest realm=\"cam\", nonce=\"%d\", algorithm=SHA-256\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"%[1]d\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, nil, func(n int, method, _, _ string) string {
				if method == "OPTIONS" {
					return "200 OK\r\nPublic: DESCRIBE"
				}
				if strings.Contains(challenge, "%") {
					return "401 Unauthorized\r\nWWW-Authenticate: " + fmt.Sprintf(challenge, n)
				}
				return "401 Unauthorized\r\nWWW-Authenticate: " + challenge
			})
			onlyTheUserCanHelp(t, g.url("planted-wrong"), "refuses the user name or password")
			want := 1
			if name == "SHA-256 and MD5" {
				want = 2
			}
			if given := g.passwords(); len(given) != want {
				t.Errorf("%d passwords came, want %d: %q", len(given), want, given)
			}
		})
	}
}

func TestBasicAloneIsAnswered(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{NoUDP: true})
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(gateUser+":"+gatePassword))
	g := newGate(t, camera, func(_ int, _, _, authorization string) string {
		if authorization == want {
			return ""
		}
		return "401 Unauthorized\r\nWWW-Authenticate: BASIC realm=\"cam\""
	})
	record(t, camera, g.url(gatePassword)).awaitFrames(10)
}

// TestBasicIsNeverSentAfterDigest has a request for Basic once the camera has asked for a Digest: within
// the session's connection and over redirects, and besides a Digest with an unknown algorithm.
func TestBasicIsNeverSentAfterDigest(t *testing.T) {
	t.Parallel()
	const digest = "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n\""
	const basic = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\""
	const beside = "\r\nWWW-Authenticate: Basic realm=\"cam\""
	var self *gate
	for name, row := range map[string]struct {
		answers []string // to the requests but OPTIONS, of all connections; the last one repeatedly
		want    string
	}{
		"at once":         {[]string{digest, basic}, "then for the password in clear text"},
		"over a redirect": {[]string{digest, "302 Found\r\nLocation: rtsp://%s/other", basic}, "then for the password in clear text"},
		"unknown algorithm": {
			[]string{digest + ", algorithm=SHA-1\x1b[2J" + beside},
			"the algorithm SHA-1",
		},
		"unknown, one line": {
			[]string{"401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\", Digest realm=\"cam\", nonce=\"n\", algorithm=TOKEN"},
			"the algorithm TOKEN",
		},
		"unknown qop": {
			[]string{digest + ", qop=\"token\"" + beside},
			"the protection (qop) token",
		},
		"no nonce": {
			[]string{"401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\"\r\nWWW-Authenticate: Basic realm=\"cam\""},
			"an incomplete challenge",
		},
		"unknown alone": {
			[]string{"401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n\", algorithm=SHA-512-256"},
			"the algorithm SHA-512-256",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			next := 0
			g := newGate(t, nil, func(_ int, method, _, _ string) string {
				if method == "OPTIONS" {
					return "200 OK\r\nPublic: DESCRIBE"
				}
				mu.Lock()
				defer mu.Unlock()
				answer := row.answers[min(next, len(row.answers)-1)]
				next++
				if strings.Contains(answer, "%s") {
					return fmt.Sprintf(answer, self.address())
				}
				return answer
			})
			self = g
			r := onlyTheUserCanHelp(t, g.url(gatePassword), row.want)
			for _, given := range g.passwords() {
				if !strings.HasPrefix(given, "Digest ") {
					t.Errorf("%q was sent", given)
				}
			}
			if n := r.number(health.Reconnects); n != 0 {
				t.Errorf("it was tried again %d times", n)
			}
		})
	}
}

// TestThePasswordStaysWithItsHost redirects to a stranger that asks for the password in all ways.
func TestThePasswordStaysWithItsHost(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]string{
		"Basic":      `Basic realm="cam"`,
		"Digest":     `Digest realm="cam", nonce="n", qop="auth"`,
		"both":       `Digest realm="cam", nonce="n", Basic realm="cam"`,
		"of another": `Basic realm="` + gateUser + `"`,
	} {
		for _, user := range []string{"", "other:planted@"} {
			t.Run(name+" "+user, func(t *testing.T) {
				t.Parallel()
				stranger := newGate(t, nil, func(int, string, string, string) string {
					return "401 Unauthorized\r\nWWW-Authenticate: " + challenge
				})
				camera := newGate(t, nil, func(_ int, method, uri, authorization string) string {
					switch {
					case method == "OPTIONS":
						return "200 OK\r\nPublic: DESCRIBE"
					case right(authorization, method, uri, "cam", gatePassword, md5Sum, false):
						return "302 Found\r\nLocation: rtsp://" + user + stranger.address() + "/stream"
					default:
						return "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"n0\""
					}
				})
				onlyTheUserCanHelp(t, camera.url(gatePassword), "redirects to "+stranger.address())
				if given := stranger.passwords(); len(given) != 0 || stranger.seen == 0 {
					t.Errorf("the stranger was asked %d times and given %q", stranger.seen, given)
				}
			})
		}
	}
}
