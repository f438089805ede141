package script

import (
	"errors"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files returns all existing camera files.
func files(t testing.TB) (list []string) {
	t.Helper()
	for _, pattern := range []string{"../../camera/answer/testdata/cameras/*.txt", "../../recorder/testdata/cameras/*.txt"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	if len(list) < 200 {
		t.Fatalf("there are %d files", len(list))
	}
	return list
}

func TestAllFilesCanBeRead(t *testing.T) {
	t.Parallel()
	for _, file := range files(t) {
		if _, err := Load(file); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsWrongWithAFileIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                                        "f:1: the file describes no behaviour",
		"words\nand words\n":                      "f:2: the file describes no behaviour",
		">>> packets\n":                           "f:1: the file does not say what is odd",
		"odd\nfilm: vp8\n":                        `f:2: there is no "vp8"`,
		"odd\ncolour: red\n":                      `f:2: there is no "colour:"`,
		"odd\nfps: 0\n":                           "f:2: fps is",
		"odd\nfps: nan\n":                         "f:2: fps is",
		"odd\nlogin: me\n":                        "f:2: login needs",
		"odd\nneeds: OPTIONS soon\n":              "f:2: \"soon\" is not a duration",
		"odd\nudp-source: here\n":                 "f:2: udp-source is",
		"odd\nrecorded: most\n":                   "f:2: recorded is",
		"odd\n>>> \n":                             "f:2: a section needs a name",
		"odd\n>>> packets now\n":                  `f:2: the section packets does not accept "now"`,
		"odd\n>>> PLAY soon\n":                    `f:2: there is no condition "soon"`,
		"odd\n>>> PLAY url\n":                     "f:2: the condition url needs a value",
		"odd\n>>> PLAY with \"Range\n":            "f:2: a quotation mark is not closed",
		"odd\n>>> PLAY connection 3-2\n":          `f:2: "3-2" is not a number`,
		"odd\n>>> PLAY until 0s\n":                "f:2: the condition until needs",
		"odd\n>>> PLAY times 0\n":                 `f:2: "0" is not a number`,
		"odd\n>>> PLAY login\nRTSP/1.0 200\n":     "f:3: the section PLAY asks for a login",
		"odd\n>>> PLAY silent\nRTSP/1.0 200\n":    "f:3: the section PLAY is silent",
		"odd\n>>> PLAY\nCSeq: {seqno}\n":          "f:3: there is no placeholder {seqno}",
		"odd\n>>> PLAY\n\\q\n":                    `f:3: there is no \q`,
		"odd\n>>> PLAY\n\\x2\n":                   `f:3: \x needs two`,
		"odd\n>>> packets\n\nfly\n":               `f:4: there is no rule "fly"`,
		"odd\n>>> packets\ntype 128\n":            `f:3: "128" is not a number from 0 to 127`,
		"odd\n>>> packets\ntype\n":                "f:3: the rule needs one value, not 0",
		"odd\n>>> packets\npayload 0\n":           "f:3: \"0\" is not bytes",
		"odd\n>>> packets\ninterval 1s\n":         "f:3: the rule interval is not allowed",
		"odd\n>>> audio\npack stap-a\n":           "f:3: the rule pack is not allowed",
		"odd\n>>> packets\npack zip\n":            `f:3: there is no kind of packet "zip"`,
		"odd\n>>> packets\npicture 3 drop\n":      "f:3: a colon is missing",
		"odd\n>>> packets\npicture x: drop\n":     `f:3: "x" is not a number`,
		"odd\n>>> packets\nevery 0 packets: drop": `f:3: "0" is not a number`,
		"odd\n>>> packets\nevery 3 days: drop":    `f:3: there is no "days"`,
		"odd\n>>> packets\nunits skip: drop\n":    `f:3: there is no NAL unit type "skip"`,
		"odd\n>>> packets\nfirst: pause 1s\n":     "f:3: the rule pause applies to pictures",
		"odd\n>>> packets\ntimestamp later 1\n":   `f:3: there is no timestamp "later"`,
		"odd\n>>> packets\ntimestamp pace x\n":    `f:3: "x" is not a positive number`,
		"odd\n>>> packets\nsequence skip 1\n":     `f:3: there is no sequence "skip"`,
		"odd\n>>> packets\nmarker first\n":        `f:3: there is no "first"`,
		"odd\n>>> packets\nssrc xyz\n":            `f:3: "xyz" is not an SSRC`,
		"odd\n>>> packets\nextra 50 55\n":         "f:3: extra needs",
		"odd\n>>> packets\nsend {sdp}\n":          "f:3: send needs a text",
		"odd\n>>> packets\ninsert here 09f0\n":    `f:3: there is no "here"`,
		"odd\n>>> packets\ndrop it\n":             `f:3: the rule does not accept "it"`,
		"odd\n>>> audio\npayload 00\n":            "f:3: audio with payloads needs",
		"odd\n>>> audio\nticks 160\n":             "f:3: audio with interval or ticks needs payloads",
		"odd\n>>> audio\nkeyframes: ticks 160\n":  "f:3: the rule ticks always applies",
	} {
		_, err := Parse("f", []byte(content))
		var odd *Error
		if !errors.As(err, &odd) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if _, err := Load("testdata/none.txt"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

// ask sends a request to a camera, and returns the first line of the answer.
func ask(c *Conversation, method, url string, header ...string) string {
	r := Request{Method: method, URL: url, Header: textproto.MIMEHeader{"Cseq": {"1"}}}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a := c.Answer(r, nil)
	line, _, _ := strings.Cut(string(a.Bytes), "\r\n")
	if a.Close {
		line += " and hangs up"
	}
	return strings.TrimSpace(line)
}

func TestWhichAnswerIsGiven(t *testing.T) {
	t.Parallel()
	f, err := Parse("f", []byte(`odd
login: me p:w
>>> OPTIONS times 2
a
>>> DESCRIBE
b
>>> DESCRIBE
c
>>> SETUP tcp
d
>>> SETUP url */1 with "Range: npt*"
e
>>> SETUP udp
f
>>> SETUP
g
>>> PLAY no-login
h
>>> PLAY connection 2- without Range
i
>>> PAUSE close
>>> X silent
>>> TEARDOWN until 1ns
gone
`))
	if err != nil {
		t.Fatal(err)
	}
	first, second := f.Converse(1, time.Now()), f.Converse(2, time.Now())
	const ordinary, u = "RTSP/1.0 200 OK", "rtsp://h/1"
	basic := []string{"Authorization", "Basic bWU6cDp3"}
	for i, row := range []struct{ got, want string }{
		{ask(first, "OPTIONS", u), "a"}, {ask(first, "OPTIONS", u), "a"}, {ask(first, "OPTIONS", u), ordinary},
		{ask(first, "DESCRIBE", u), "b"}, {ask(first, "DESCRIBE", u), "c"}, {ask(first, "DESCRIBE", u), "c"},
		{ask(second, "DESCRIBE", u), "b"},
		{ask(first, "SETUP", u, "Transport", "RTP/AVP/TCP;interleaved=0-1"), "d"},
		{ask(first, "SETUP", u, "Transport", "rtp/avp/tcp"), "d"},
		{ask(first, "SETUP", u, "Transport", "RTP/AVP", "Range", "NPT=0"), "e"},
		{ask(first, "SETUP", "rtsp://h/2", "Transport", "RTP/AVP", "Range", "npt=0"), "f"},
		{ask(first, "SETUP", u, "Transport", "RTP/AVP;multicast"), "g"},
		{ask(first, "SETUP", u, "Transport", "RTP/AVP;multicast"), "g"},
		{ask(first, "PLAY", u), "h"}, {ask(first, "PLAY", u, basic...), ordinary},
		{ask(second, "PLAY", u, basic...), "i"}, {ask(second, "PLAY", u, append(basic, "Range", "x")...), ordinary},
		{ask(first, "PAUSE", u), "and hangs up"}, {ask(first, "X", u), ""}, {ask(first, "TEARDOWN", u), ordinary},
	} {
		if row.got != row.want {
			t.Errorf("answer %d is %q, want %q", i, row.got, row.want)
		}
	}
}

func TestPlaceholdersAndLines(t *testing.T) {
	t.Parallel()
	f, err := Parse("f", []byte("odd\nends: lf\n>>> DESCRIBE\nA {cseq} \\x7burl} {url}\\r\nContent-Length: {length}\n\n{sdp}\nx\\\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Method: "DESCRIBE", URL: "rtsp://h/a/", Header: textproto.MIMEHeader{"Cseq": {"7"}}}
	a := f.Converse(1, time.Now()).Answer(r, map[string]string{"sdp": "v=0\ns=x"})
	if want := "A 7 {url} rtsp://h/a\r\nContent-Length: 9\n\nv=0\ns=x\nx"; string(a.Bytes) != want || !a.Agreed {
		t.Errorf("%q, want %q", a.Bytes, want)
	}
}

// FuzzFiles reads arbitrary files, and plays them.
func FuzzFiles(f *testing.F) {
	for _, file := range files(f) {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Parse("f", content)
		if err != nil {
			var odd *Error
			if !errors.As(err, &odd) {
				t.Fatal(err)
			}
			return
		}
		c := file.Converse(1, time.Now())
		for _, method := range []string{"OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PLAY"} {
			ask(c, method, "rtsp://h/a", "Transport", "RTP/AVP/TCP;interleaved=0-1")
		}
		for _, h265 := range []bool{false, true} {
			p := file.Video(1, 96)
			for i := range uint32(3) {
				units := [][]byte{{0x67, 1, 2}, {0x42, 1, 2}, {0x65, 0x88, 3}, make([]byte, 3000)}
				for _, s := range p.Pack(Picture{Units: units, H265: h265, Key: i == 0, Timestamp: i * 3600}) {
					if s.Kind == RTP && len(s.Bytes) > 1<<16+1<<10 {
						t.Fatalf("a packet of %d bytes", len(s.Bytes))
					}
				}
			}
			file.Sounds(1, 97).Pack(Picture{Payloads: [][]byte{{1}}})
		}
	})
}
