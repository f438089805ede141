package script

import (
	"fmt"
	"net/textproto"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// section is an answer, and the conditions under which it is used.
type section struct {
	method      string // * for all
	lines       []template
	fits        []func(Request) bool
	connections span // the connections to which it applies, from 1
	login       bool // the request has the right user name and password
	noLogin     bool
	until       time.Duration // since the camera's start; 0: no limit
	times       int           // how many requests of a connection it answers; 0 for all
	inTurn      bool          // it answers one, as it has no other condition
	wait        time.Duration
	silent      bool
	hangUp      bool
}

// condition is a word after the method of a section.
type condition struct {
	name, takes, about string
	set                func(s *section, value string) error
}

// conditions are all known conditions: those up to times define when a section answers, the others how.
var conditions = []condition{
	{"tcp", "", "a SETUP for RTP over TCP", func(s *section, _ string) error { return s.transport("TCP", true) }},
	{"udp", "", "a SETUP for RTP over UDP, to the client only", func(s *section, _ string) error {
		s.fits = append(s.fits, func(r Request) bool { return !r.has("Transport: *multicast*") })
		return s.transport("TCP", false)
	}},
	{"multicast", "", "a SETUP for RTP over multicast", func(s *section, _ string) error { return s.transport("multicast", true) }},
	{"url", "PATTERN", "a request whose URL matches, * for any text", func(s *section, value string) error {
		s.fits = append(s.fits, func(r Request) bool { return like(value, r.URL) })
		return nil
	}},
	{"not-url", "PATTERN", "a request whose URL does not match", func(s *section, value string) error {
		s.fits = append(s.fits, func(r Request) bool { return !like(value, r.URL) })
		return nil
	}},
	{"with", `"HEADER: PATTERN"`, "a request that has this header; without a pattern, with any value", func(s *section, value string) error {
		s.fits = append(s.fits, func(r Request) bool { return r.has(value) })
		return nil
	}},
	{"without", `"HEADER: PATTERN"`, "a request that does not have it", func(s *section, value string) error {
		s.fits = append(s.fits, func(r Request) bool { return !r.has(value) })
		return nil
	}},
	{"login", "", "a request with the right user name and password", func(s *section, _ string) error { s.login = true; return nil }},
	{"no-login", "", "a request without", func(s *section, _ string) error { s.noLogin = true; return nil }},
	{"connection", "SPAN", "the connections, counted from 1: 1, 2-, 3-5", func(s *section, value string) (err error) {
		s.connections, err = parseSpan(value)
		return err
	}},
	{"until", "DURATION", "only this long after the camera's start", func(s *section, value string) (err error) {
		if s.until, err = duration(value); err == nil && s.until == 0 {
			err = fmt.Errorf("the condition until needs a duration of more than 0")
		}
		return err
	}},
	{"times", "NUMBER", "only this many requests of a connection", func(s *section, value string) error {
		n, err := number(value, 1, 1<<20)
		s.times = int(n)
		return err
	}},
	{"wait", "DURATION", "the answer is delayed by this", func(s *section, value string) (err error) {
		s.wait, err = duration(value)
		return err
	}},
	{"silent", "", "there is no answer", func(s *section, _ string) error { s.silent = true; return nil }},
	{"close", "", "the connection is closed after the answer or without one", func(s *section, _ string) error {
		s.hangUp = true
		return nil
	}},
}

// newSection reads the words of a section's first line.
func newSection(words []string) (*section, error) {
	s := &section{method: words[0]}
	for words = words[1:]; len(words) > 0; words = words[1:] {
		i := slices.IndexFunc(conditions, func(c condition) bool { return c.name == words[0] })
		if i < 0 {
			return s, fmt.Errorf("there is no condition %q of a section", words[0])
		}
		value := ""
		if conditions[i].takes != "" {
			if len(words) == 1 {
				return s, fmt.Errorf("the condition %s needs a value: %s", words[0], conditions[i].takes)
			}
			words = words[1:]
			value = words[0]
		}
		if err := conditions[i].set(s, value); err != nil {
			return s, err
		}
	}
	if !s.conditional() && s.times == 0 {
		s.times, s.inTurn = 1, true
	}
	return s, nil
}

// conditional reports whether a section applies only to some requests.
func (s *section) conditional() bool {
	return len(s.fits) > 0 || s.connections != (span{}) || s.login || s.noLogin || s.until > 0
}

func (s *section) transport(word string, wanted bool) error {
	s.fits = append(s.fits, func(r Request) bool { return r.Method == "SETUP" && r.has("Transport: *"+word+"*") == wanted })
	return nil
}

// add adds a line of the answer.
func (s *section) add(text string) error {
	t, err := parseTemplate(text)
	s.lines = append(s.lines, t)
	return err
}

// Request is a request to a camera.
type Request struct {
	Method string
	URL    string
	Header textproto.MIMEHeader
}

// has reports whether a request has a header as NAME or NAME: PATTERN, in any case.
func (r Request) has(text string) bool {
	name, pattern, with := strings.Cut(text, ":")
	values := r.Header.Values(strings.TrimSpace(name))
	if !with {
		return len(values) > 0
	}
	return slices.ContainsFunc(values, func(value string) bool { return like(strings.TrimSpace(pattern), value) })
}

// like reports whether a text matches a pattern, in which * stands for any text. Case does not matter.
func like(pattern, text string) bool {
	// A slash is nothing special here, but is to path.Match; so are these.
	plain := strings.NewReplacer("/", "\x00", "[", `\[`, "?", `\?`, `\`, `\\`)
	fits, err := path.Match(plain.Replace(strings.ToLower(pattern)), strings.ReplaceAll(strings.ToLower(text), "/", "\x00"))
	return err == nil && fits
}

// span is a range of numbers; the zero value includes all.
type span struct {
	from, to uint64 // inclusive
	set      bool
}

func (s span) holds(n uint64) bool { return !s.set || n >= s.from && n <= s.to }

// parseSpan reads 7, 7- or 7-9.
func parseSpan(text string) (span, error) {
	from, to, ranged := strings.Cut(text, "-")
	s := span{set: true}
	var err, also error
	s.from, err = strconv.ParseUint(from, 10, 64)
	switch {
	case !ranged:
		s.to = s.from
	case to == "":
		s.to = 1<<64 - 1
	default:
		s.to, also = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || also != nil || s.to < s.from {
		return s, fmt.Errorf("%q is not a number such as 7, 7- or 7-9", text)
	}
	return s, nil
}
