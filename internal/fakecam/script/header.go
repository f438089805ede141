package script

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// header is a line at the start of a file, as NAME: VALUE.
type header struct {
	name, takes, about string
	set                func(f *File, value string) error
}

// headers are all known headers.
var headers = []header{
	{"ends", "crlf, lf or cr", "how the lines of answers end; crlf by default", func(f *File, value string) error {
		ends, err := oneOf(value, "crlf", "lf", "cr")
		f.ends = map[string]string{"crlf": "\r\n", "lf": "\n", "cr": "\r"}[ends]
		return err
	}},
	{"film", "h264, h264-720, h265 or mjpeg", "the film to play", func(f *File, value string) (err error) {
		f.Film, err = oneOf(value, "h264", "h264-720", "h265", "mjpeg")
		return err
	}},
	{"sound", "aac, pcmu or pcma", "the audio, unless a section audio describes another", func(f *File, value string) (err error) {
		f.Sound, err = oneOf(value, "aac", "pcmu", "pcma")
		return err
	}},
	{"fps", "NUMBER", "pictures per second, up to 1000", func(f *File, value string) (err error) {
		if f.FPS, err = strconv.ParseFloat(value, 64); err != nil || !(f.FPS >= 0.01 && f.FPS <= 1000) {
			return fmt.Errorf("fps is %q, but must be a number from 0.01 to 1000", value)
		}
		return nil
	}},
	{"login", "USER PASSWORD", "the credentials of the conditions login and no-login, by Basic or Digest", func(f *File, value string) error {
		var found bool
		if f.user, f.password, found = strings.Cut(value, " "); !found || f.user == "" {
			return fmt.Errorf("login needs a user name and a password after a blank")
		}
		return nil
	}},
	{"needs", "METHOD DURATION", "the session ends after this long without such a request; reports: without RTCP from the client",
		func(f *File, value string) (err error) {
			method, within, _ := strings.Cut(value, " ")
			f.Needs = method
			f.Within, err = duration(within)
			return err
		}},
	{"udp-source", "ADDRESS or another-port", "the source of packets over UDP, announced or not", func(f *File, value string) error {
		if f.Source = value; value != AnotherPort && net.ParseIP(value) == nil {
			return fmt.Errorf("udp-source is %q, but must be an IP address or %s", value, AnotherPort)
		}
		return nil
	}},
	{"recorded", "all or NUMBER%", "how much of the sent video must be recorded, for tests", func(f *File, value string) error {
		f.Recorded = value
		share, err := strconv.Atoi(strings.TrimSuffix(value, "%"))
		if value != "all" && (err != nil || share < 0 || share > 100) {
			return fmt.Errorf("recorded is %q, but must be all or a share such as 90%%", value)
		}
		return nil
	}},
	{"refused", "TEXT", "a part of the sentence that must be reported, for tests", func(f *File, value string) error {
		f.Refused = value
		return nil
	}},
}

// header reads a line before all sections: one of the table, or a part of the text about the camera.
func (p *parser) header(text string) error {
	name, value, found := strings.Cut(text, ":")
	if !found || strings.ContainsFunc(name, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		p.file.About += text + " "
		return nil
	}
	i := slices.IndexFunc(headers, func(h header) bool { return h.name == name })
	if i < 0 {
		return fmt.Errorf("there is no %q among the lines before the sections", name+":")
	}
	p.says = true
	return headers[i].set(p.file, strings.TrimSpace(value))
}

// oneOf returns the value when it is one of the known ones.
func oneOf(value string, known ...string) (string, error) {
	if !slices.Contains(known, value) {
		return "", fmt.Errorf("there is no %q: it must be one of %s", value, strings.Join(known, ", "))
	}
	return value, nil
}

// maxDuration bounds the waits of a file.
const maxDuration = 10000 * time.Hour

// duration reads a duration that is not negative.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxDuration {
		return 0, fmt.Errorf("%q is not a duration such as 500ms or 3s", text)
	}
	return d, nil
}

// number reads an integer between two limits.
func number(text string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, least, most)
	}
	return n, nil
}
