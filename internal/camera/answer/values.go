package answer

import (
	"fmt"
	"strconv"
	"strings"
)

// sessionValue combines Session headers into one: an id, and how long the session lives without a keepalive,
// in seconds.
func sessionValue(values []string) string {
	const mostText, mostTimeout = 512, 120 // longer time-outs are treated as that long
	id, timeout := "", 0
	for _, value := range values {
		for i, part := range strings.Split(value, ";") {
			part = strings.TrimSpace(part)
			name, after, isPair := strings.Cut(part, "=")
			switch {
			case i == 0 && id == "" && part != "":
				id = part
			case isPair && strings.EqualFold(strings.TrimSpace(name), "timeout") && timeout == 0:
				timeout = min(max(number(after), 0), mostTimeout)
			}
		}
	}
	id = printable(id)
	switch {
	case id == "" || len(id) > mostText:
		return ""
	case timeout > 0:
		return id + ";timeout=" + strconv.Itoa(timeout)
	default:
		return id
	}
}

// Announced is the first packet of a track, as a camera announces it (RFC 2326, section 12.33).
type Announced struct {
	URL       string
	Sequence  uint16
	Timestamp uint32
}

// ParseRTPInfo reads an RTP-Info header: each track with a sequence number and a timestamp.
func ParseRTPInfo(value string) []Announced {
	var list []Announced
	var url, seq, time string
	finish := func() {
		sequence, err1 := strconv.ParseUint(seq, 10, 16)
		timestamp, err2 := strconv.ParseUint(time, 10, 32)
		if err1 == nil && err2 == nil {
			list = append(list, Announced{URL: url, Sequence: uint16(sequence), Timestamp: uint32(timestamp)})
		}
		url, seq, time = "", "", ""
	}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, " \t\"")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case !ok:
		case name == "url":
			if url != "" || seq != "" {
				finish()
			}
			url = value
		case name == "seq":
			seq = value
		case name == "rtptime":
			time = value
		}
	}
	finish()
	return list
}

// rtpInfoValue writes an RTP-Info header. Strict readers require a URL, and not a long one.
func rtpInfoValue(value string) string {
	const mostURL, mostTracks = 200, 6
	var list []string
	for _, a := range ParseRTPInfo(value) {
		url := printable(a.URL)
		if len(url) > mostURL {
			url = url[len(url)-mostURL:] // its end distinguishes the tracks
		}
		if len(list) < mostTracks {
			list = append(list, fmt.Sprintf("url=%s;seq=%d;rtptime=%d", strings.ReplaceAll(url, `"`, ""), a.Sequence, a.Timestamp))
		}
	}
	return strings.Join(list, ",")
}

// printable removes what may not be in a header: characters that are not ASCII, and line ends.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}
