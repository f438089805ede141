package auth

import (
	"crypto/md5"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestVectors checks the examples of the RFCs.
func TestVectors(t *testing.T) {
	t.Parallel()
	const nonce7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
	const rest7616 = `Digest realm="http-auth@example.org", qop="auth, auth-int", nonce="` + nonce7616 +
		`", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=`
	const cnonce7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	const nonce2617 = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
	for _, row := range []struct {
		name, password, challenge, nonce, cnonce, want string
	}{
		{"RFC 7616, MD5", "Circle of Life", rest7616 + "MD5", nonce7616, cnonce7616, "8ca523f5e9506fed4657c9700eebdbec"},
		{"RFC 7616, SHA-256", "Circle of Life", rest7616 + "SHA-256", nonce7616, cnonce7616,
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{"RFC 2617", "Circle Of Life", `Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="` + nonce2617 + `"`, nonce2617,
			"0a4f113b", "6629fae49393a05397450978507c4ef1"},
		{"RFC 2069, as corrected", "CircleOfLife", `Digest realm="testrealm@host.com", nonce="` + nonce2617 + `"`, nonce2617, "",
			"1949323746fe6a43ef61f9606e7febea"},
	} {
		c := Client{User: "Mufasa", Password: row.password, Has: true, nonces: map[string]*nonce{row.nonce: {cnonce: row.cnonce}}}
		if again, err := c.Challenged([]string{row.challenge}, nil); !again || err != nil {
			t.Errorf("%s: again is %v, with %v", row.name, again, err)
		}
		if header := c.Authorization("GET", "/dir/index.html"); !strings.Contains(header, `response="`+row.want+`"`) {
			t.Errorf("%s: %s", row.name, header)
		}
	}
}

// camera answers requests: "" accepts one, anything else are the challenges to it, separated by |.
type camera func(n int, method, authorization string) string

// ask sends a request as a session does, and returns the refusal: "" when it was accepted.
func ask(c *Client, with camera, n *int, method string) string {
	for try := 1; ; try++ {
		header, sent := c.Authorization(method, "rtsp://cam/x"), c.Answer()
		*n++
		challenges := with(*n, method, header)
		if challenges == "" {
			c.Accepted(sent)
			return ""
		}
		var list []string
		if challenges != "none" {
			list = strings.Split(challenges, "|")
		}
		again, err := c.Challenged(list, sent)
		switch {
		case again && try < 4:
		case err != nil:
			return err.Error()
		default:
			return "wrong password"
		}
	}
}

func md5Hex(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// proves reports whether a header is a Digest of the correct password.
func proves(header, method, user, realm string, sum hash) bool {
	p := make(map[string]string)
	for _, m := range regexp.MustCompile(`([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9-]+))`).FindAllStringSubmatch(header, -1) {
		p[m[1]] = m[2] + m[3]
	}
	proof := p["nonce"]
	if p["qop"] != "" {
		proof += ":" + p["nc"] + ":" + p["cnonce"] + ":" + p["qop"]
	}
	return p["username"] == user && p["response"] == sum(sum("user:"+realm+":pass")+":"+proof+":"+sum(method+":"+p["uri"]))
}

const twoHashes = `Digest realm="cam", nonce="n1", algorithm=SHA-256, qop="auth"|Digest realm="cam", nonce="n1", algorithm=MD5`

// conversations are sessions of DESCRIBE, SETUP and PLAY with cameras.
var conversations = map[string]struct {
	camera
	says string // of each session
	sent [3]int // passwords sent in the first sessions; later ones are like the last
}{
	"wrong": {func(int, string, string) string { return `Digest realm="cam", nonce="n1", qop="auth"` }, "wrong password", [3]int{1, 1, 1}},
	"wrong, a nonce each": {func(n int, _, _ string) string { return fmt.Sprintf(`Digest realm="cam", nonce="n%d"`, n) },
		"wrong password", [3]int{1, 1, 1}},
	"wrong, two hashes": {func(int, string, string) string { return twoHashes }, "wrong password", [3]int{2, 0, 1}},
	"wrong, three realms": {func(int, string, string) string {
		return `Digest realm="a", nonce="n"|Digest realm="b", nonce="n"|Digest realm="c", nonce="n"`
	}, "wrong password", [3]int{2, 0, 1}},
	"wrong, without a challenge": {func(_ int, _, header string) string {
		if header == "" {
			return `Digest realm="cam", nonce="n1"`
		}
		return "none"
	}, "wrong password", [3]int{1, 1, 1}},
	"only the weaker hash works": {func(_ int, method, header string) string {
		if proves(header, method, "user", "cam", md5Hex) {
			return ""
		}
		return twoHashes
	}, "", [3]int{4, 3, 3}},
	"only the second realm works": {func(_ int, method, header string) string {
		if strings.Contains(header, `realm="b"`) && proves(header, method, "user", "b", md5Hex) {
			return ""
		}
		return `Digest realm="a", nonce="n"|Digest realm="b", nonce="n"`
	}, "", [3]int{4, 3, 3}},
	"the name is hashed": {func(_ int, method, header string) string {
		if strings.Contains(header, "userhash=true") && proves(header, method, sha256Hex("user:cam"), "cam", sha256Hex) {
			return ""
		}
		return `Digest realm="cam", nonce="n1", algorithm=SHA-256, userhash=true`
	}, "", [3]int{3, 3, 3}},
	"the name should not be hashed": {func(_ int, method, header string) string {
		if proves(header, method, "user", "cam", sha256Hex) {
			return ""
		}
		return `Digest realm="cam", nonce="n1", algorithm=SHA-256, userhash=TRUE`
	}, "", [3]int{4, 3, 3}},
	"escapes do not count": {func(_ int, method, header string) string {
		if proves(header, method, "user", `a "b"`, md5Hex) {
			return ""
		}
		return `Digest realm="a \"b\"", nonce="n1"`
	}, "", [3]int{4, 3, 3}},
	"SHA256": {func(_ int, method, header string) string {
		if proves(header, method, "user", "cam", sha256Hex) {
			return ""
		}
		return `Digest realm="cam", nonce="n1", algorithm="SHA256"`
	}, "", [3]int{3, 3, 3}},
	"each answer is stale": {func(n int, _, _ string) string { return fmt.Sprintf(`Digest realm="cam", nonce="n%d", stale=true`, n) },
		ErrStale.Error(), [3]int{3, 3, 3}},
	"only DESCRIBE is allowed": {func(_ int, method, header string) string {
		if method == "DESCRIBE" && header != "" {
			return ""
		}
		return `Digest realm="cam", nonce="n1"`
	}, ErrTakenBefore.Error(), [3]int{2, 2, 2}},
	"only PLAY asks": {func(_ int, method, header string) string {
		if method != "PLAY" || proves(header, method, "user", "cam", md5Hex) {
			return ""
		}
		return `Digest realm="cam", nonce="n1"`
	}, "", [3]int{1, 1, 1}},
	"a nonce for each request, never called stale": {func(n int, method, header string) string {
		if proves(header, method, "user", "cam", md5Hex) && strings.Contains(header, fmt.Sprintf(`nonce="n%d"`, n-1)) {
			return ""
		}
		return fmt.Sprintf(`Digest realm="cam", nonce="n%d"`, n)
	}, "", [3]int{5, 5, 5}},
	"asks for nothing known": {func(int, string, string) string { return `Bearer realm="cam"` },
		"unknown challenge: the scheme bearer", [3]int{0, 0, 0}},
	"does not say how": {func(int, string, string) string { return "none" }, ErrNoChallenge.Error(), [3]int{0, 0, 0}},
}

func TestConversations(t *testing.T) {
	t.Parallel()
	for name, row := range conversations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := new(Memory)
			for session := range 4 {
				given, n := 0, 0
				c := Client{User: "user", Password: "pass", Has: true, Memory: memory}
				says := ""
				for _, method := range []string{"DESCRIBE", "SETUP", "PLAY"} {
					if says == "" {
						says = ask(&c, func(n int, method, header string) string {
							if header != "" {
								given++
							}
							return row.camera(n, method, header)
						}, &n, method)
					}
				}
				if want := row.sent[min(session, 2)]; given != want || says != row.says {
					t.Errorf("session %d: %d passwords were sent, want %d, and it is said %q, want %q", session+1, given, want, says, row.says)
				}
			}
		})
	}
}

// TestAnotherPasswordStartsAgain: what was known of the previous password is forgotten.
func TestAnotherPasswordStartsAgain(t *testing.T) {
	t.Parallel()
	memory := new(Memory)
	for _, password := range []string{"a", "a", "b", "b"} {
		c := Client{User: "user", Password: password, Has: true, Memory: memory}
		n := 0
		ask(&c, func(int, string, string) string { return twoHashes }, &n, "DESCRIBE")
		if want := 3; password != "a" && !memory.spent || n > want {
			t.Errorf("%d requests with %q", n, password)
		}
	}
}

// TestNoncesAreCounted has a nonce that is used again on another connection.
func TestNoncesAreCounted(t *testing.T) {
	t.Parallel()
	c := Client{User: "user", Password: "pass", Has: true}
	var cnonce string
	for i, value := range []string{"a", "a", "b", "a"} {
		c.Connect()
		if c.Authorization("PLAY", "x") != "" {
			t.Fatal("a connection begins with an answer")
		}
		if again, err := c.Challenged([]string{`Digest realm="r", qop=auth, nonce=` + value}, nil); !again || err != nil {
			t.Fatal(again, err)
		}
		header := c.Authorization("PLAY", "x")
		if want := []string{"00000001", "00000002", "00000001", "00000003"}[i]; !strings.Contains(header, "nc="+want) {
			t.Errorf("use %d of %s: %s, want nc=%s", i, value, header, want)
		}
		if own := header[strings.Index(header, "cnonce="):]; value == "a" && cnonce != "" && own != cnonce {
			t.Errorf("the client nonce is %s, was %s", own, cnonce)
		} else if value == "a" {
			cnonce = own
		}
	}
}

// TestNoUser: a missing password is not blamed.
func TestNoUser(t *testing.T) {
	t.Parallel()
	var c Client
	if again, err := c.Challenged([]string{`Basic realm="r"`}, nil); again || !errors.Is(err, ErrNoUser) {
		t.Errorf("again is %v, with %v", again, err)
	}
}
