// Package sdp reads cameras' session descriptions (RFC 8866) as leniently as players do: what is not needed is
// skipped, whatever it looks like, and what is needed is read as far as possible. It rewrites descriptions
// in a form that strict readers accept.
package sdp

import (
	"bytes"
	"strings"
)

// Description is a camera's description of its streams.
type Description struct {
	Control string // of the whole presentation, "" without
	Tracks  []Track
}

// Track is one of the streams.
type Track struct {
	Kind      string // "video", "audio" and others, in lower case
	Control   string // unchanged, "" without
	Direction string // "sendonly", "recvonly", "sendrecv", "inactive", "" without
	Secure    bool   // SRTP
	KeyMgmt   string // of SRTP: base64 of a MIKEY message, "" without
	Delivery
	Formats []Format

	index int // among the tracks
}

// Format is one format in which a track may be sent.
type Format struct {
	PayloadType uint8
	Codec       string // one of the codecs below, or the camera's name in upper case; "" without
	Clock       int    // ticks of the RTP timestamp per second; 0: of audio, as many as its samples
	Channels    int    // of audio; default 1
	Parameters  map[string]string
}

// Bounds of a description: real cameras stay far below.
const (
	maxTracks  = 2000
	maxFormats = 64
	maxText    = 256 << 10
)

// section collects the lines of a track.
type section struct {
	track   Track
	types   []uint8
	rtpmaps []mapping
	fmtps   []mapping
}

// mapping is a value for a payload type, -1 where none was read.
type mapping struct {
	payloadType int
	value       string
}

// Parse reads a description. Parts that cannot be read are left out.
func Parse(text []byte) Description {
	var d Description
	var current *section
	direction, keyMgmt, delivery := "", "", Delivery{}
	finish := func() {
		if current != nil && len(d.Tracks) < maxTracks {
			current.track.index = len(d.Tracks)
			d.Tracks = append(d.Tracks, current.finished())
		}
	}
	for line := range strings.FieldsFuncSeq(string(text[:min(len(text), maxText)]), isLineEnd) {
		key, value, ok := splitLine(line)
		switch {
		case !ok:
		case key == "m":
			finish()
			current = newSection(value)
			current.track.Direction, current.track.KeyMgmt = direction, keyMgmt
			current.track.Delivery = delivery.from(value)
		case key == "c" && current != nil:
			current.track.Delivery.connect(value)
		case key == "c":
			delivery.connect(value)
		case key != "a":
		case current != nil:
			current.attribute(value)
		default:
			d.attribute(value, &direction, &keyMgmt, &delivery)
		}
	}
	finish()
	return d
}

// Looks reports whether a text may be a description, or the start of one.
func Looks(text []byte) bool {
	text = bytes.TrimLeft(text, "\ufeff \t\r\n\x00")
	if len(text) == 0 {
		return false
	}
	key, rest := text[0], bytes.TrimLeft(text[1:], " \t")
	return strings.IndexByte("vosmVOSM", key) >= 0 && (len(rest) == 0 || rest[0] == '=')
}

func isLineEnd(r rune) bool { return r == '\r' || r == '\n' || r == 0 }

// splitLine reads a line such as "m = video 0", with any blanks.
func splitLine(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(strings.TrimPrefix(line, "\ufeff"), "=")
	return strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value), ok
}

// splitAttribute reads an attribute such as "control:trackID=1".
func splitAttribute(value string) (name, rest string) {
	name, rest, _ = strings.Cut(value, ":")
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(rest)
}

// attribute handles an attribute of the whole session.
func (d *Description) attribute(value string, direction, keyMgmt *string, delivery *Delivery) {
	switch name, rest := splitAttribute(value); name {
	case "control":
		if d.Control == "" || !strings.Contains(d.Control, "://") {
			d.Control = rest
		}
	case "sendonly", "recvonly", "sendrecv", "inactive":
		*direction = name
	case "key-mgmt":
		*keyMgmt = keyOf(rest)
	case "source-filter":
		delivery.filter(rest)
	}
}

// keyOf reads the value of key-mgmt.
func keyOf(value string) string {
	protocol, key, _ := strings.Cut(value, " ")
	if !strings.EqualFold(protocol, "mikey") {
		return ""
	}
	return strings.TrimSpace(key)
}

// newSection reads "video 0 RTP/AVP 96 97". If its end is missing, rtpmap decides.
func newSection(value string) *section {
	var s section
	fields := strings.Fields(value)
	if len(fields) > 0 {
		s.track.Kind = strings.ToLower(fields[0])
	}
	for i, field := range fields {
		switch payloadType, whole := leadingNumber(field); {
		case i < 2: // the kind and the port
		case strings.Contains(strings.ToUpper(field), "AVP"):
			s.track.Secure = strings.Contains(strings.ToUpper(field), "SAVP")
		case whole && payloadType <= 127 && len(s.types) < maxFormats:
			s.addType(uint8(payloadType))
		}
	}
	return &s
}

func (s *section) addType(payloadType uint8) {
	if !bytes.Contains(s.types, []byte{payloadType}) {
		s.types = append(s.types, payloadType)
	}
}

// attribute handles an attribute of a track.
func (s *section) attribute(value string) {
	switch name, rest := splitAttribute(value); name {
	case "control":
		if s.track.Control == "" {
			s.track.Control = rest
		}
	case "sendonly", "recvonly", "sendrecv", "inactive":
		s.track.Direction = name
	case "rtpmap":
		s.rtpmaps = append(s.rtpmaps, newMapping(rest))
	case "fmtp":
		s.fmtps = append(s.fmtps, newMapping(rest))
	case "key-mgmt":
		s.track.KeyMgmt = keyOf(rest)
	case "source-filter":
		s.track.Delivery.filter(rest)
	}
}

// newMapping reads "96 H264/90000", also without the number.
func newMapping(rest string) mapping {
	end := strings.IndexAny(rest, " \t")
	if end < 0 {
		end = len(rest)
	}
	if n, whole := leadingNumber(rest[:end]); whole && n <= 127 {
		return mapping{payloadType: n, value: strings.TrimSpace(rest[end:])}
	}
	return mapping{payloadType: -1, value: rest}
}

// find returns the value for a payload type. Without one, the only value of the track is meant.
func find(of []mapping, payloadType uint8, only bool) string {
	for _, m := range of {
		if m.payloadType == int(payloadType) {
			return m.value
		}
	}
	if only && len(of) == 1 {
		return of[0].value
	}
	return ""
}

// finished makes a track of the lines.
func (s *section) finished() Track {
	if len(s.types) == 0 {
		for _, m := range s.rtpmaps {
			if m.payloadType >= 0 && len(s.types) < maxFormats {
				s.addType(uint8(m.payloadType))
			}
		}
	}
	only := len(s.types) == 1
	for _, payloadType := range s.types {
		f := newFormat(s.track.Kind, payloadType, find(s.rtpmaps, payloadType, only && payloadType >= firstDynamic))
		f.Parameters = parameters(find(s.fmtps, payloadType, only))
		s.track.Formats = append(s.track.Formats, f)
	}
	return s.track
}

// leadingNumber reads the digits at the start of a text; whole: there is nothing after them. -1: there are none.
func leadingNumber(text string) (n int, whole bool) {
	n = -1
	for i, r := range text {
		if r < '0' || r > '9' || n > 1<<28 {
			return n, false
		}
		if i == 0 {
			n = 0
		}
		n = 10*n + int(r-'0')
	}
	return n, n >= 0
}
