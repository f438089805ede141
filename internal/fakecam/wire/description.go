package wire

import (
	"slices"
	"strconv"
	"strings"
)

// section is a medium of a description that was sent.
type section struct {
	track   Track
	other   bool // it is neither
	film    bool // it has the codec of the film
	control string
	formats []int // payload types
}

// parseDescription finds the media of a description in any form.
func parseDescription(answer []byte, codec string) (list []section) {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(answer))
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if medium, begins := strings.CutPrefix(strings.ToLower(line), "m="); begins {
			s := section{track: Video, other: true}
			switch {
			case strings.HasPrefix(medium, "video"):
				s.other = false
			case strings.HasPrefix(medium, "audio"):
				s.track, s.other = Audio, false
			}
			for _, word := range strings.Fields(medium)[min(3, len(strings.Fields(medium))):] {
				if n, err := strconv.Atoi(word); err == nil && n >= 0 && n < 128 {
					s.formats = append(s.formats, n)
				}
			}
			list = append(list, s)
			continue
		}
		if len(list) == 0 {
			continue
		}
		last := &list[len(list)-1]
		if control, is := strings.CutPrefix(line, "a=control:"); is {
			last.control = strings.TrimSpace(control)
		}
		if kind, name, found := strings.Cut(strings.ToUpper(line), " "); found && !last.film && strings.HasPrefix(kind, "A=RTPMAP:") {
			n, err := strconv.Atoi(kind[len("A=RTPMAP:"):])
			last.film = strings.Contains(name, codec)
			if err == nil && last.film && slices.Contains(last.formats, n) {
				last.formats = []int{n}
			}
		}
	}
	return list
}

// whose returns the track to which a URL in a SETUP, the n-th one that is agreed to, refers, how well it matches what is sent, and its
// payload type, -1 for none.
func whose(described []section, url string, n int) (track Track, rank, payloadType int) {
	best, length := -1, 0
	for i, s := range described {
		if c := s.control; c != "" && c != "*" && strings.HasSuffix(url, strings.TrimLeft(c, "/")) && len(c) > length {
			best, length = i, len(c)
		}
	}
	if best < 0 {
		if best = n; best >= len(described) {
			return Track(min(n, 1)), 0, -1
		}
	}
	s := described[best]
	payloadType = -1
	if len(s.formats) > 0 {
		payloadType = s.formats[0]
	}
	switch {
	case s.other:
		return Track(-1), 0, -1
	case s.film:
		return s.track, 2, payloadType
	}
	return s.track, 1, payloadType
}

// headerOf returns the value of a header of an answer in any form.
func headerOf(answer []byte, name string) string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(answer))
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, found := strings.Cut(line, ":"); found && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
